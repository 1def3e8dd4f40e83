# SPDX-License-Identifier: MIT
# Errors on the way of a datagram reach the client that sent it, as they do without us.
import errno

import pytest
from support import udp
from support.deadline import stays_silent
from support.runner import TAKE_UDP

DEFAULTS = TAKE_UDP


@pytest.mark.parametrize("handover", ["auto", "off"])
def test_a_port_that_nobody_listens_on_refuses_the_client(lab, run, family, handover):
    limpid = run("--handover", handover)
    client, server = udp.flow(lab, family)
    if handover == "auto":
        udp.hand_over(limpid, client, server)
    server.close()
    assert udp.refusal(client) == errno.ECONNREFUSED


def test_the_error_comes_from_the_destination(lab, limpid, family):
    client = udp.client(lab, family, errors=1)
    with udp.forwarded(lab, family, 1):  # the error; not the datagram
        client.send(b"?")
        assert udp.icmp_error(client) == udp.IcmpError(errno.ECONNREFUSED, 0, family.server)
    limpid.wait_udp(flows=1, datagrams_up=1, datagrams_down=0)


def test_a_client_that_no_longer_listens_refuses_the_server(lab, limpid, family):
    client, server = udp.flow(lab, family)
    client.send(b"ping")
    asked = udp.receive(server)
    client.close()
    udp.set_option(server, errors=1)
    udp.answer(server, asked, b"pong")
    error = udp.icmp_error(server)
    assert (error.errno, error.offender) == (errno.ECONNREFUSED, family.client)


def test_a_host_that_is_not_there_is_unreachable(lab, run, family):
    neighbours = f"ipv{family.version}.neigh.wan0"
    lab.gateway.sysctl(f"{neighbours}.mcast_solicit", 1)
    lab.gateway.sysctl(f"{neighbours}.retrans_time_ms", 50)
    run()
    client = udp.client(lab, family, family.unused, errors=1)
    with udp.relayed(lab, family):
        client.send(b"?")
        assert udp.icmp_error(client) == udp.IcmpError(errno.EHOSTUNREACH, 0, family.gateway_lan)


def test_a_destination_without_a_route_is_unreachable(lab, run, family):
    lab.gateway.ip(f"route add unreachable {family.documentation}")
    run()
    client = udp.client(lab, family, family.documentation.partition("/")[0].removesuffix("0") + "1", errors=1)
    client.send(b"?")
    error = udp.icmp_error(client)
    assert error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH)
    assert error.offender == family.gateway_lan


def test_an_error_for_one_flow_harms_no_other_of_the_same_port(lab, run, family):
    run("--handover", "off")
    server = udp.bound(lab, family, address=family.server)
    refused = udp.client(lab, family, family.server_alias, source_port=40000)
    served = udp.client(lab, family, source_port=40000)
    for _ in range(3):
        udp.exchange(served, server)
        assert udp.refusal(refused) == errno.ECONNREFUSED
    udp.exchange(served, server)


def test_a_datagram_at_its_last_hop_is_answered_by_the_gateway(lab, limpid, family):
    client, server = udp.flow(lab, family, errors=1)
    udp.exchange(client, server)
    udp.set_option(client, hop_limit=1)
    client.send(b"traceroute")
    assert udp.icmp_error(client) == udp.IcmpError(errno.EHOSTUNREACH, 0, family.gateway_lan)
    udp.set_option(client, hop_limit=2)
    udp.exchange(client, server)
    limpid.wait_udp(flows=1, datagrams_up=2)


def test_an_answer_at_its_last_hop_is_answered_by_the_gateway(lab, limpid, family):
    client, server = udp.flow(lab, family)
    client.send(b"ping")
    asked = udp.receive(server)
    udp.set_option(server, errors=1, hop_limit=1)
    udp.answer(server, asked, b"pong")
    assert udp.icmp_error(server) == udp.IcmpError(errno.EHOSTUNREACH, 0, family.gateway_wan)
    assert stays_silent([client], 0.05)
    udp.set_option(server, hop_limit=2)
    udp.answer(server, asked, b"pong")
    assert client.recv(100) == b"pong"


def test_a_traceroute_sees_each_router_and_the_destination(lab, run, family):
    lab.add_server_beyond_a_small_link(mtu=1500)
    run(defaults=("--interface", "lan0", "--udp", "33434-33523"))
    for hop, (code, offenders) in enumerate(
        (
            (errno.EHOSTUNREACH, (family.gateway_lan,)),
            (errno.EHOSTUNREACH, (family.server, family.server_alias)),
            (errno.ECONNREFUSED, (family.other_server,)),
        )
    ):
        client = udp.client(lab, family, family.other_server, port=33434 + hop, errors=1, hop_limit=1 + hop)
        client.send(b"?")
        error = udp.icmp_error(client)
        assert error.errno == code and error.offender in offenders


def test_a_local_program_is_refused_as_a_client_is(lab, run, family):
    run("--local")
    client = udp.client(lab, family, namespace=lab.gateway)
    assert udp.refusal(client) == errno.ECONNREFUSED


def test_a_datagram_that_our_own_firewall_refuses_is_counted_and_harms_no_other(lab, run, family):
    lab.gateway.nft(
        f"""table inet firewall {{ chain out {{ type filter hook output priority 0;
        ip{'6' if family.version == 6 else ''} daddr {family.server_alias} udp dport 8080 drop; }}; }}"""
    )
    limpid = run("--handover", "off")
    server = udp.bound(lab, family)
    barred = udp.client(lab, family, family.server_alias)
    served = udp.client(lab, family)
    for count in range(1, 4):
        barred.send(b"?")
        udp.exchange(served, server)
        limpid.wait_udp(send_refused=count)
