# SPDX-License-Identifier: MIT
# Hosts as other software has set them up: reverse path filters, Docker's bridges, no IPv6, conntrack that comes later.
import pytest
from support import udp
from support.bridges import bridge_forwards, put_client_behind_a_bridge
from support.deadline import eventually
from support.families import FAMILIES, IPV4
from support.runner import TAKE_UDP

DEFAULTS = TAKE_UDP


def expect_taken(lab, family, **options):
    client, server = udp.flow(lab, family, **options)
    with udp.relayed(lab, family):
        for _ in range(3):
            udp.exchange(client, server)
    client.close()
    server.close()


@pytest.mark.parametrize("rp_filter", [0, 1, 2])
@pytest.mark.parametrize("src_valid_mark", [0, 1])
def test_reverse_path_filters_and_src_valid_mark_do_not_matter(lab, run, family, rp_filter, src_valid_mark):
    for device in "all", "default", "lo", "lan0", "wan0":
        lab.gateway.sysctl(f"ipv4.conf.{device}.rp_filter", rp_filter)
        lab.gateway.sysctl(f"ipv4.conf.{device}.src_valid_mark", src_valid_mark)
    limpid = run("--local", "--handover", "off")
    expect_taken(lab, family)
    expect_taken(lab, family, namespace=lab.gateway)
    limpid.wait_udp(flows=2, datagrams_up=6, datagrams_down=3)  # answers to the gateway itself do not pass limpid


def test_a_bridge_that_calls_iptables_is_survived(lab, run, family):
    put_client_behind_a_bridge(lab)
    eventually(lambda: bridge_forwards(lab))
    limpid = run(defaults=("--interface", "br0", "--udp", "8080"))
    client, server = udp.flow(lab, family)
    with udp.relayed(lab, family):
        udp.exchange(client, server)
    udp.hand_over(limpid, client, server)
    with udp.forwarded(lab, family, 2):
        udp.exchange(client, server)
    assert limpid.status()["conditions"]["early"]


def test_behind_such_a_bridge_fragments_are_forwarded(lab, run, family):
    put_client_behind_a_bridge(lab)
    eventually(lambda: bridge_forwards(lab))
    run("--handover", "off", defaults=("--interface", "br0", "--udp", "8080"))
    client, server = udp.flow(lab, family)
    for number, size in enumerate((8192, 100, udp.LARGEST, 100)):
        udp.exchange(client, server, udp.payload(number, size), udp.payload(number + 10, size))


def test_a_machine_without_ipv6_is_served_in_ipv4_and_says_so(lab, run):
    for device in "all", "default", "lo":
        lab.gateway.sysctl(f"ipv6.conf.{device}.disable_ipv6", 1)
    limpid = run("--local")
    expect_taken(lab, IPV4)
    expect_taken(lab, IPV4, namespace=lab.gateway)
    assert any("IPv6" in sentence for sentence in limpid.status()["degraded"])


def use_conntrack(lab):
    lab.gateway.nft(
        """table inet firewall { chain forward { type filter hook forward priority 0;
        ct state established accept; }; }"""
    )


@pytest.mark.parametrize("handover", ["auto", "off"])
def test_flows_survive_that_zones_come_and_go(lab, run, family, handover):
    limpid = run("--handover", handover)
    client, server = udp.flow(lab, family)
    if handover == "auto":
        udp.hand_over(limpid, client, server)
    udp.exchange(client, server)
    use_conntrack(lab)
    limpid.wait_status(lambda status: status["conditions"]["zones"], "zones")
    for _ in range(3):
        udp.exchange(client, server)
    expect = udp.forwarded(lab, family, 2) if handover == "auto" else udp.relayed(lab, family)
    with expect:
        udp.exchange(client, server)
    lab.gateway.run("nft", "delete", "table", "inet", "firewall")
    limpid.wait_status(lambda status: not status["conditions"]["zones"], "no zones")
    udp.exchange(client, server)


def test_conntrack_is_not_turned_on_by_us(lab, run):
    limpid = run("--tcp", "8080", "--local")
    assert not limpid.status()["conditions"]["zones"]
    assert " ct " not in lab.gateway.run("nft", "list", "ruleset").stdout
    for family in FAMILIES:
        expect_taken(lab, family)
    assert lab.gateway.sysctl("netfilter.nf_conntrack_count") == "0"


def test_an_unrelated_route_that_changes_harms_no_flow(lab, run, family):
    limpid = run()
    relayed, server = udp.flow(lab, family)
    forwarded = udp.client(lab, family)
    udp.hand_over(limpid, forwarded, server)
    udp.exchange(relayed, server)
    for change in "add", "del":
        lab.gateway.ip(f"route {change} {family.documentation} dev wan0")
        udp.exchange(relayed, server)
        udp.exchange(forwarded, server)


def test_a_route_that_moves_the_destination_is_followed(lab, run, family):
    other = lab.add_other_server()
    other.ip(f"address add {family.server} dev lo")
    limpid = run("--handover", "off")
    client, server = udp.flow(lab, family)
    udp.exchange(client, server)
    length = 32 if family.version == 4 else 128
    moved = udp.bound(lab, family, other)
    lab.gateway.ip(f"route add {family.server}/{length} via {family.other_server}")
    udp.exchange(client, moved)
    lab.gateway.ip(f"route del {family.server}/{length} via {family.other_server}")
    udp.exchange(client, server)
    limpid.wait_udp(flows=1, datagrams_up=3, datagrams_down=3)


def test_routes_that_depend_on_the_client_are_followed(lab, run, family):
    other = lab.add_other_server()
    other.ip(f"address add {family.server} dev lo")
    lab.gateway.ip(f"-{family.version} rule add from {family.lan} lookup 77 priority 200")
    lab.gateway.ip(f"-{family.version} route add default via {family.other_server} table 77")
    run("--handover", "off")
    server = udp.bound(lab, family, other)
    client = udp.client(lab, family)
    with udp.relayed(lab, family):
        udp.exchange(client, server)


def test_a_start_whose_own_probe_does_not_come_through_is_refused(lab, run):
    lab.gateway.nft(
        """table inet strict { chain in { type filter hook input priority 0;
        meta nfproto ipv6 iifname lo meta l4proto udp drop; }; }"""
    )
    code, said = run.refused()
    assert code == 1
    assert "IPv6" in said and "IPv4" not in said


def test_listeners_that_somebody_destroys_are_opened_again(lab, run, family):
    run("--handover", "off")
    client, server = udp.flow(lab, family)
    udp.exchange(client, server)
    lab.gateway.run("ss", "-Kuan", f"src {family.text(family.loopback, 0).rpartition(':')[0]}")

    def is_taken():
        before = udp.packets_forwarded(lab.gateway, family)
        return udp.comes_through(client, server) and udp.packets_forwarded(lab.gateway, family) == before

    eventually(is_taken, 5, "a datagram and its answer relayed")
