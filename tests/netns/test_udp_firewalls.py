# SPDX-License-Identifier: MIT
# Firewalls and NAT as gateways have them, for flows that are relayed and for those that the kernel forwards.
import errno

import pytest
from support import udp
from support.deadline import eventually
from support.firewalls import ACCEPT_OURS, FIREWALL, MASQUERADE, source_seen, use
from support.runner import TAKE_UDP
from support.sniffer import Sniffer

DEFAULTS = TAKE_UDP
KINDS = ("invalid_drop", "masquerade", "both")


def seen_as(family, kind, client):
    """Masquerade keeps the port where nobody else has it."""
    return source_seen(family, kind), client.getsockname()[1]


def expect_on_the_wire(sniffer, family, kind, client):
    source, server = seen_as(family, kind, client), (family.server, 8080)
    assert set(sniffer.datagrams()) == {(*source, *server), (*server, *source)}, "no private address leaves"


@pytest.mark.parametrize("kind", ["plain", *KINDS])
@pytest.mark.parametrize("source_port", [0, 500, 40000])
def test_relayed_flows_work_and_no_private_address_leaves(lab, run, family, kind, source_port):
    use(lab, kind)
    limpid = run("--handover", "off")
    client, server = udp.flow(lab, family, source_port=source_port)
    with Sniffer(lab.server, "eth0") as sniffer, udp.relayed(lab, family):
        for _ in range(2 * udp.HANDOVER_AFTER):
            udp.exchange(client, server, seen_as=seen_as(family, kind, client))
        expect_on_the_wire(sniffer, family, kind, client)
    limpid.wait_udp(flows=1)


@pytest.mark.parametrize("kind", ["plain", *KINDS])
def test_flows_handed_over_work_and_no_private_address_leaves(lab, run, family, kind):
    use(lab, kind)
    limpid = run()
    client, server = udp.flow(lab, family)
    with Sniffer(lab.server, "eth0") as sniffer:
        udp.hand_over(limpid, client, server, seen_as=seen_as(family, kind, client))
        with udp.forwarded(lab, family, 20):
            for _ in range(10):
                udp.exchange(client, server, seen_as=seen_as(family, kind, client))
        limpid.command("flows", "--take-back", "all")
        with udp.relayed(lab, family):
            for _ in range(10):
                udp.exchange(client, server, seen_as=seen_as(family, kind, client))
        expect_on_the_wire(sniffer, family, kind, client)


@pytest.mark.parametrize("kind", KINDS)
def test_direct_flows_work_before_during_and_after(lab, run, family, kind):
    use(lab, kind)
    server, other = udp.bound(lab, family), udp.bound(lab, family, port=8081)
    old, direct = udp.client(lab, family), udp.client(lab, family, port=8081)
    udp.exchange(old, server, seen_as=seen_as(family, kind, old))
    limpid = run("--handover", "off")
    for _ in range(3):
        udp.exchange(old, server, seen_as=seen_as(family, kind, old))
        udp.exchange(direct, other, seen_as=seen_as(family, kind, direct))
    assert limpid.stop() == 0
    udp.exchange(old, server, seen_as=seen_as(family, kind, old))
    udp.exchange(direct, other, seen_as=seen_as(family, kind, direct))


@pytest.mark.parametrize("kind", KINDS)
def test_a_refusal_by_the_server_reaches_the_client(lab, run, family, kind):
    use(lab, kind)
    run()
    assert udp.refusal(udp.client(lab, family)) == errno.ECONNREFUSED


@pytest.mark.parametrize("kind", KINDS)
def test_a_datagram_too_large_for_the_uplink_is_answered_with_the_mtu(lab, run, family, kind):
    lab.gateway.ip("link set wan0 mtu 1280")
    use(lab, kind)
    run()
    client = udp.client(lab, family, errors=1, discover_mtu=udp.NEVER_FRAGMENT)
    client.send(bytes(1400))
    error = udp.icmp_error(client)
    assert (error.errno, error.mtu) == (errno.EMSGSIZE, 1280)


@pytest.mark.parametrize("kind", ["plain", *KINDS])
def test_large_datagrams_arrive_whole(lab, run, family, kind):
    use(lab, kind)
    run("--handover", "off")
    client, server = udp.flow(lab, family)
    for size in 8192, udp.LARGEST:
        message, reply = udp.payload(1, size), udp.payload(2, size)
        udp.exchange(client, server, message, reply, seen_as=seen_as(family, kind, client))


@pytest.mark.parametrize("kind", KINDS)
def test_two_clients_with_one_port_are_kept_apart(lab, run, family, kind):
    lab.client.ip(f"address add {family.second_client} dev eth0 {'nodad' if family.version == 6 else ''}")
    use(lab, kind)
    run("--handover", "off")
    server = udp.bound(lab, family)
    sources = family.client, family.second_client.partition("/")[0]
    clients = [udp.client(lab, family, source=source, source_port=40000) for source in sources]
    seen = []
    for client in clients:
        client.send(client.getsockname()[0].encode())
        seen.append(udp.receive(server))
    assert len({datagram.source for datagram in seen}) == 2
    for datagram in seen:
        udp.answer(server, datagram, datagram.data)
    for client in clients:
        assert client.recv(100).decode() == client.getsockname()[0]


@pytest.mark.parametrize("kind", KINDS)
def test_local_datagrams_work(lab, run, family, kind):
    use(lab, kind)
    limpid = run("--local", "--handover", "off")
    client, server = udp.flow(lab, family, namespace=lab.gateway)
    for _ in range(udp.HANDOVER_AFTER):
        udp.exchange(client, server)
    limpid.wait_udp(flows=1, datagrams_up=udp.HANDOVER_AFTER)


def test_masquerade_that_comes_later_holds_for_new_flows(lab, run, family):
    use(lab, "invalid_drop")
    run()
    server = udp.bound(lab, family)
    lab.gateway.nft(MASQUERADE)
    client = udp.client(lab, family)
    eventually(lambda: udp.comes_through(client, server), 3.0)
    client = udp.client(lab, family)
    udp.exchange(client, server, seen_as=seen_as(family, "masquerade", client))
    lab.gateway.run("nft", "delete", "table", "inet", "nat")


def test_an_input_policy_that_drops_what_we_take_is_said_with_the_rule_to_add(lab, run):
    lab.gateway.nft(FIREWALL.format(accept_ours=""))
    (sentence,) = (text for text in run().status()["degraded"] if "input" in text.lower())
    assert "0x10000000" in sentence and "accept" in sentence


def test_a_firewall_that_accepts_our_mark_is_not_complained_of(lab, run):
    lab.gateway.nft(FIREWALL.format(accept_ours=ACCEPT_OURS))
    assert run().status()["degraded"] == []


def test_a_port_that_is_forwarded_to_a_client_works_in_both_directions(lab, run, family):
    # The gateway's own address stands for a server among the clients: destination NAT.
    protocol = "ip" if family.version == 4 else "ip6"
    address = family.text(family.client, 8080)
    lab.gateway.nft(
        f"""table inet theirs {{ chain pre {{ type nat hook prerouting priority dstnat;
        iifname wan0 meta nfproto ipv{family.version} udp dport 9000 dnat {protocol} to {address}; }}; }}"""
    )
    run("--handover", "off", defaults=("--interface", "lan0", "--udp", "all"))
    service = udp.bound(lab, family, lab.client)
    outside = udp.client(lab, family, family.gateway_wan, port=9000, namespace=lab.server)
    for _ in range(3):
        udp.exchange(outside, service)


def test_behind_a_forward_chain_that_drops_flows_are_relayed_and_it_says_so(lab, run, family):
    # The kernel asks that chain about a flow handed over: what has worked so far is dropped.
    lab.gateway.nft("table inet theirs { chain onward { type filter hook forward priority filter; policy drop; }; }")
    limpid = run()
    client, server = udp.flow(lab, family)
    for _ in range(udp.HANDOVER_AFTER // 2):
        udp.exchange(client, server)
    eventually(lambda: udp.entry(limpid, client), what="the flow on trial")
    client.send(b"into the void")
    status = limpid.wait_status(lambda now: now["degraded"], "the flow is not answered any more", 5)
    for _ in range(2 * udp.HANDOVER_AFTER):
        udp.exchange(client, server)
    other = udp.client(lab, family)
    for _ in range(2 * udp.HANDOVER_AFTER):
        udp.exchange(other, server)
    assert limpid.status()["udp"] == {"flows": 2, "handed_over": 0}

    (sentence,) = status["degraded"]
    rule = sentence.rpartition(": nft ")[2]
    assert "theirs" in sentence and rule.startswith("insert rule inet theirs onward ")
    lab.gateway.run("nft", rule)
    limpid.wait_status(lambda now: not now["degraded"], "the rule has been seen", 5)
    accepted = udp.client(lab, family)
    udp.hand_over(limpid, accepted, server)
    udp.exchange(accepted, server)
    lab.gateway.run("nft", "flush", "chain", "inet", "theirs", "onward")
