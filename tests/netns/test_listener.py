# SPDX-License-Identifier: MIT
# The listener itself is nobody's business: from outside it is refused, from this machine it leads nowhere.
import re

import pytest
from support import traffic
from support.deadline import eventually


def listeners(lab, pid):
    """(address, port) of every TCP socket in LISTEN that the process holds."""
    lines = lab.gateway.run("ss", "-Hltnp").stdout.splitlines()
    found = (re.search(r"(\S+):(\d+)\s+\S+:\*\s.*\bpid=" + str(pid) + r"\b", line) for line in lines)
    return [(match[1].strip("[]"), int(match[2])) for match in found if match]


def test_listeners_are_on_the_loopback_addresses_alone(lab, limpid):
    pids = limpid.pids()
    for role in "supervisor", "worker":
        assert {address for address, _ in listeners(lab, pids[role])} == {"127.0.0.1", "::1"}


def test_a_connection_from_this_machine_to_the_listener_is_closed_and_counted(lab, limpid, family):
    ports = {port for address, port in listeners(lab, limpid.pids()["worker"]) if address == family.loopback}
    for count, port in enumerate(sorted(ports), 1):
        with pytest.raises(ConnectionResetError):
            traffic.receive_all(lab.connect(family, family.loopback, port=port, namespace=lab.gateway))
        assert limpid.sessions_logged(count)[-1]["reason"] == "loop"
        assert limpid.close_reason("loop") == count


def test_a_connection_from_outside_to_the_listener_is_refused(lab, limpid, family):
    for _, port in listeners(lab, limpid.pids()["worker"]):
        for address in family.gateway_lan, family.gateway_wan:
            with pytest.raises(ConnectionRefusedError):
                lab.connect(family, address, port=port)


def test_listeners_that_somebody_destroys_are_opened_again(lab, limpid, family):
    old, old_server = lab.session(family)
    lab.gateway.run("ss", "-K", "state", "listening", f"src {family.text(family.loopback, 0).rpartition(':')[0]}")

    def is_taken():
        client, server = lab.session(family)
        traffic.exchange(client, server)
        return lab.is_intercepted(client)

    eventually(is_taken, 5, "a new connection taken")
    traffic.exchange(old, old_server)


def test_a_connection_from_outside_to_the_listeners_port_elsewhere_is_an_ordinary_one(lab, run, family):
    limpid = run(defaults=("--interface", "lan0", "--tcp", "all"))
    port = listeners(lab, limpid.pids()["worker"])[0][1]
    client, server = lab.session(family, port=port)
    assert lab.is_intercepted(client)
    traffic.exchange(client, server)


def test_with_all_ports_the_gateways_own_services_stay_reachable(lab, run, family):
    run("--local", defaults=("--interface", "lan0", "--tcp", "all"))
    lab.listener(family, lab.gateway, port=22)
    for origin in lab.client, lab.gateway:
        client = lab.connect(family, family.gateway_lan, port=22, namespace=origin)
        traffic.exchange(client, lab.accept(family, lab.gateway, port=22))


def test_a_loop_cannot_be_built_by_taking_all_local_connections(lab, run, family):
    limpid = run("--local", defaults=("--interface", "lan0,wan0", "--tcp", "all"))
    for namespace in lab.client, lab.gateway:
        client, server = lab.session(family, namespace=namespace)
        traffic.exchange(client, server)
    assert limpid.counter("accepted") == 2
