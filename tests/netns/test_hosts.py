# SPDX-License-Identifier: MIT
# Hosts as other software has set them up: Tailscale's and WireGuard's sysctls, Docker's bridges, SYN cookies.
import pytest
from support import traffic
from support.bridges import bridge_forwards, put_client_back, put_client_behind_a_bridge
from support.deadline import eventually
from support.families import FAMILIES, IPV4
from support.lab import endpoint


def expect_taken(lab, family, **options):
    client, server = lab.session(family, **options)
    if options.get("namespace") in (None, lab.client):
        assert lab.is_intercepted(client)
        assert endpoint(server.getpeername()) == endpoint(client.getsockname())
    traffic.exchange(client, server)
    traffic.finish(client, server)


@pytest.mark.parametrize("rp_filter", [0, 1, 2])
@pytest.mark.parametrize("src_valid_mark", [0, 1])
def test_reverse_path_filters_and_src_valid_mark_do_not_matter(lab, run, family, rp_filter, src_valid_mark):
    for device in "all", "default", "lo", "lan0", "wan0":
        lab.gateway.sysctl(f"ipv4.conf.{device}.rp_filter", rp_filter)
        lab.gateway.sysctl(f"ipv4.conf.{device}.src_valid_mark", src_valid_mark)
    limpid = run("--local")
    expect_taken(lab, family)
    expect_taken(lab, family, namespace=lab.gateway)
    assert limpid.counter("accepted") == 2


def test_a_bridge_that_calls_iptables_is_survived(lab, run, family):
    put_client_behind_a_bridge(lab)
    eventually(lambda: bridge_forwards(lab))
    limpid = run(defaults=("--interface", "br0", "--tcp", "8080"))
    expect_taken(lab, family)
    assert limpid.status()["conditions"]["early"]


def test_a_bridge_that_appears_later_is_survived(lab, run, family):
    limpid = run(defaults=("--interface", "br0", "--tcp", "8080"))
    put_client_behind_a_bridge(lab)
    eventually(lambda: bridge_forwards(lab))
    limpid.wait_status(lambda status: status["conditions"]["early"], "the chain before the bridge's")
    expect_taken(lab, family)
    put_client_back(lab)


def test_a_second_bridge_that_appears_later_changes_nothing(lab, run, family):
    put_client_behind_a_bridge(lab)
    eventually(lambda: bridge_forwards(lab))
    run(defaults=("--interface", "br0", "--tcp", "8080"))
    lab.gateway.ip("link add br1 type bridge")
    lab.gateway.ip("link set br1 up")
    for _ in range(5):
        expect_taken(lab, family)
    lab.gateway.ip("link del br1")
    expect_taken(lab, family)


def test_a_machine_without_ipv6_is_served_in_ipv4_and_says_so(lab, run):
    for device in "all", "default", "lo":
        lab.gateway.sysctl(f"ipv6.conf.{device}.disable_ipv6", 1)
    limpid = run("--local")
    expect_taken(lab, IPV4)
    expect_taken(lab, IPV4, namespace=lab.gateway)
    assert any("IPv6" in sentence for sentence in limpid.status()["degraded"])


def rename(lab, old, new):
    lab.gateway.ip(
        f"""link set {old} down
        link set {old} name {new}
        link set {new} up
        address replace fd00:1::1/64 dev {new} nodad"""
    )


def test_an_interface_that_appears_later_is_served(lab, run, family):
    run(defaults=("--interface", "late*", "--tcp", "8080"))
    rename(lab, "lan0", "late0")
    expect_taken(lab, family)
    rename(lab, "late0", "lan0")


@pytest.mark.parametrize("conntrack", [False, True], ids=["without_conntrack", "with_conntrack"])
@pytest.mark.parametrize("cookies", [1, 2], ids=["cookies_in_a_flood", "cookies_always"])
def test_syn_cookies_do_not_reset_clients(lab, run, family, conntrack, cookies):
    lab.gateway.sysctl("ipv4.tcp_syncookies", cookies)
    if conntrack:
        use_conntrack(lab)
    limpid = run("--local")
    for _ in range(5):
        expect_taken(lab, family)
        expect_taken(lab, family, namespace=lab.gateway)
    assert limpid.counter("accepted") == 10


@pytest.mark.parametrize("conntrack", [False, True], ids=["without_conntrack", "with_conntrack"])
def test_connections_from_before_the_start_go_on_where_syn_cookies_are_possible(lab, run, family, conntrack):
    lab.gateway.sysctl("ipv4.tcp_syncookies", 1)
    if conntrack:
        use_conntrack(lab)
    old, old_server = lab.session(family)
    local, local_server = lab.session(family, namespace=lab.gateway)
    run("--local")
    for ends in (old, old_server), (local, local_server):
        traffic.exchange(*ends)
        traffic.finish(*ends)


def use_conntrack(lab):
    lab.gateway.nft(
        """table inet firewall { chain forward { type filter hook forward priority 0;
        ct state established accept; }; }"""
    )


def test_zones_follow_the_use_of_conntrack(lab, run):
    limpid = run()
    assert not limpid.status()["conditions"]["zones"], "one ct rule would turn conntrack on for the whole host"
    assert " ct " not in lab.gateway.run("nft", "list", "ruleset").stdout
    use_conntrack(lab)
    limpid.wait_status(lambda status: status["conditions"]["zones"], "zones, once conntrack is in use")
    for family in FAMILIES:
        expect_taken(lab, family)
    lab.gateway.run("nft", "delete", "table", "inet", "firewall")
    limpid.wait_status(lambda status: not status["conditions"]["zones"], "no zones, once conntrack is not in use")
    expect_taken(lab, IPV4)


def test_sessions_survive_that_zones_come_and_go(lab, run, family):
    limpid = run()
    client, server = lab.session(family)
    traffic.exchange(client, server)
    use_conntrack(lab)
    limpid.wait_status(lambda status: status["conditions"]["zones"], "zones")
    traffic.exchange(client, server)
    lab.gateway.run("nft", "delete", "table", "inet", "firewall")
    limpid.wait_status(lambda status: not status["conditions"]["zones"], "no zones")
    traffic.exchange(client, server)
