# SPDX-License-Identifier: MIT
# Other tools on the same machine: theirs is never touched, ours survives them, conflicts are named.
import socket

import pytest
from support import traffic
from support.deadline import eventually
from support.families import FAMILIES
from support.lab import endpoint

_IP_TRANSPARENT = 19
_IPV6_TRANSPARENT = 75


def test_another_table_and_rule_that_come_and_go_change_nothing(lab, limpid, family):
    gateway, version = lab.gateway, f"-{family.version}"
    client, server = lab.session(family)
    gateway.nft(
        """table inet theirs { chain pre { type filter hook prerouting priority -150; counter; };
        chain out { type route hook output priority -150; counter; }; }"""
    )
    gateway.ip(f"{version} rule add fwmark 0x1/0xff lookup 99 priority 50")
    gateway.ip(f"{version} route add {family.documentation} dev wan0 table 99")
    traffic.exchange(client, server)
    other, other_server = lab.session(family)
    assert lab.is_intercepted(other)
    traffic.exchange(other, other_server)
    assert "theirs" in gateway.run("nft", "list", "ruleset").stdout
    gateway.run("nft", "delete", "table", "inet", "theirs")
    gateway.ip(f"{version} route del {family.documentation} dev wan0 table 99")
    gateway.ip(f"{version} rule del priority 50")
    traffic.exchange(client, server)


def test_what_others_have_added_meanwhile_is_still_there_after_the_stop(lab, run):
    limpid = run()
    lab.gateway.nft("table inet theirs { chain pre { type filter hook prerouting priority -150; }; }")
    lab.gateway.ip("rule add fwmark 0x1/0xff lookup 99 priority 98")
    lab.gateway.ip("route add 198.51.100.0/24 dev wan0 table 5301")
    assert limpid.stop() == 0
    lab.gateway.run("nft", "delete", "table", "inet", "theirs")
    lab.gateway.ip("rule del priority 98")
    lab.gateway.ip("route del 198.51.100.0/24 dev wan0 table 5301")


@pytest.mark.parametrize("without_us", ["open", "closed"])
def test_flush_ruleset_by_another_takes_nothing_of_ours(lab, run, family, without_us):
    limpid = run("--without-us", without_us)
    client, server = lab.session(family)
    before = lab.gateway.run("nft", "list", "ruleset").stdout
    lab.gateway.run("nft", "flush", "ruleset")
    assert "table inet limpid" in lab.gateway.run("nft", "list", "ruleset").stdout
    traffic.exchange(client, server)
    other, other_server = lab.session(family)
    assert lab.is_intercepted(other)
    traffic.exchange(other, other_server)
    if without_us == "open":
        return
    eventually(
        lambda: sorted(lab.gateway.run("nft", "list", "ruleset").stdout.splitlines()) == sorted(before.splitlines()),
        1.0,
        "the guard is there again",
    )
    pids = limpid.kill("watcher", "supervisor", "worker")
    eventually(lambda: limpid.processes_are_gone(pids))
    with pytest.raises(ConnectionRefusedError):
        lab.connect(family)
    run.withdraw()


CONFLICTS = {
    "a fib rule with our mark": ("rule add fwmark 0x10000000/0x10000000 lookup 77 priority 50", "mark"),
    "a fib rule whose mask holds our bit": ("rule add fwmark 0x30000000/0xf0000000 lookup 77 priority 50", "mark"),
    "a fib rule with our local mark": ("rule add fwmark 0x20000000/0x20000000 lookup 77 priority 50", "local_mark"),
    "a fib rule with our own mark": ("rule add fwmark 0x40000000/0x40000000 lookup 77 priority 50", "own_mark"),
    "a fib rule at our priority": ("rule add from 192.0.2.1 lookup 77 priority 100", "priority"),
    "a route in our table": ("route add 198.51.100.0/24 dev wan0 table 5300", "table"),
}


@pytest.mark.parametrize(("theirs", "key"), CONFLICTS.values(), ids=[name.replace(" ", "_") for name in CONFLICTS])
def test_what_another_tool_holds_is_named_and_not_touched(lab, run, theirs, key):
    lab.gateway.ip(theirs)
    code, said = run.refused()
    assert code == 1
    assert key in said
    assert not lab.state_difference()


def test_a_fib_rule_that_decides_before_ours_is_noticed(lab, run, family):
    lab.gateway.ip(f"-{family.version} route add default via {family.server}")
    lab.gateway.ip(f"-{family.version} rule add iif lan0 lookup main priority 50")
    code, said = run.refused()
    assert code == 1
    assert "priority" in said and "lan0" in said


def test_a_rule_of_ipv6_alone_is_a_conflict_too(lab, run):
    lab.gateway.ip("-6 rule add fwmark 0x10000000/0x10000000 lookup 77 priority 50")
    code, said = run.refused()
    assert code == 1
    assert "mark" in said and "77" in said


def test_an_nftables_rule_that_sets_our_bit_is_a_conflict(lab, run):
    lab.gateway.nft(
        """table inet theirs { chain pre { type filter hook prerouting priority -100;
        tcp dport 22 meta mark set meta mark | 0x10000000; }; }"""
    )
    code, said = run.refused()
    assert code == 1
    assert "theirs" in said and "mark" in said


def test_marks_in_use_elsewhere_are_no_conflict_where_the_bits_differ(lab, run, family):
    lab.gateway.ip("rule add fwmark 0x80000/0xff0000 lookup 52 priority 5210")  # Tailscale's
    lab.gateway.ip("rule add fwmark 0x4000/0x4000 lookup 77 priority 60")  # kube-proxy's
    run()
    client, server = lab.session(family)
    traffic.exchange(client, server)


def test_a_table_named_limpid_that_is_not_ours_is_named(lab, run):
    lab.gateway.nft("table inet limpid { chain theirs { }; }")
    code, said = run.refused()
    assert code == 1
    assert "limpid" in said
    assert not lab.state_difference()


def transparent(lab, family, namespace):
    sock = lab.keep(namespace.socket(family.af))
    if family.version == 4:
        sock.setsockopt(socket.SOL_IP, _IP_TRANSPARENT, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_TRANSPARENT, 1)
    return sock


def their_proxy(lab, priority):
    """Another transparent proxy on the gateway, as the kernel's own document sets one up, for port 9000."""
    lab.gateway.nft(
        f"""table inet theirs {{ chain pre {{ type filter hook prerouting priority {priority};
        meta l4proto tcp socket transparent 1 socket wildcard 0 meta mark set 0x1 accept;
        tcp dport 9000 tproxy to :9000 meta mark set 0x1 accept; }}; }}"""
    )
    for family in FAMILIES:
        lab.gateway.ip(f"-{family.version} rule add fwmark 0x1/0xff lookup 99 priority 50")
        lab.gateway.ip(f"-{family.version} route add local default dev lo table 99")


@pytest.mark.parametrize("priority", [-160, -150, -140])
def test_another_transparent_proxy_keeps_its_connections(lab, run, family, priority):
    their_proxy(lab, priority)
    listener = transparent(lab, family, lab.gateway)
    listener.bind(("", 9000))
    listener.listen()
    before = lab.connect(family, port=9000)
    held_before = lab.keep(listener.accept()[0])
    traffic.exchange(before, held_before)
    run()
    traffic.exchange(before, held_before)
    after = lab.connect(family, port=9000)
    held_after = lab.keep(listener.accept()[0])
    assert endpoint(held_after.getsockname()) == (family.server, 9000)
    traffic.exchange(after, held_after)
    ours, server = lab.session(family)
    traffic.exchange(ours, server)


def test_another_programs_transparent_client_socket_is_left_alone(lab, run, family):
    # It speaks as somebody behind lan0 to a server's port that we take.
    their_proxy(lab, -140)
    run()
    lab.listener(family)
    theirs = transparent(lab, family, lab.gateway)
    theirs.bind((family.client, 40009))
    theirs.connect((family.server, 8080))
    server = lab.accept(family)
    assert endpoint(server.getpeername()) == (family.client, 40009)
    traffic.exchange(theirs, server)


def test_a_local_service_on_the_wildcard_address_and_a_clients_port_is_no_obstacle(lab, limpid, family):
    service = lab.keep(lab.gateway.socket(family.af))
    service.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    service.bind(("", 40000))
    client, server = lab.session(family, source_port=40000)
    assert endpoint(server.getpeername()) == endpoint(client.getsockname())
    traffic.exchange(client, server)
