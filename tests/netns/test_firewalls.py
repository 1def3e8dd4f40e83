# SPDX-License-Identifier: MIT
# Firewalls and NAT as gateways have them, with the client's port kept: two connections of one 4-tuple in conntrack.
import pytest
from support import traffic
from support.firewalls import ACCEPT_OURS, FIREWALL, MASQUERADE, source_seen, use
from support.lab import endpoint
from support.sniffer import Sniffer

BULK = 8 << 20


@pytest.mark.parametrize("kind", ["plain", "invalid_drop", "masquerade", "both"])
def test_sessions_work_behind_a_firewall_and_no_private_address_leaves(lab, run, family, kind):
    use(lab, kind)
    limpid = run()
    visible = source_seen(family, kind)
    with Sniffer(lab.server, "eth0") as sniffer:
        for source_port in 40000, 40001, 40000, 0, 0, 0:
            client, server = lab.session(family, source_port=source_port)
            assert lab.is_intercepted(client)
            assert endpoint(server.getpeername())[0] == visible
            sending = traffic.Background(traffic.send_stream, server, BULK, False)
            assert traffic.receive_stream(client, BULK) == sending.result()
            traffic.exchange(client, server)
            traffic.finish(server, client)
        segments = sniffer.segments()
    addresses = {address for source, _, destination, _ in segments for address in (source, destination)}
    assert addresses == {visible, family.server}
    assert limpid.counter("source_port_kept") == 6
    assert limpid.close_reason("done") == 6


@pytest.mark.parametrize("kind", ["invalid_drop", "masquerade", "both"])
def test_direct_connections_work_behind_a_firewall_before_during_and_after(lab, run, family, kind):
    use(lab, kind)
    old, old_server = lab.session(family)
    traffic.exchange(old, old_server)
    limpid = run()
    traffic.exchange(old, old_server)
    during, during_server = lab.session(family, port=8081)
    assert not lab.is_intercepted(during)
    traffic.exchange(during, during_server)
    assert limpid.stop() == 0
    for ends in (old, old_server), (during, during_server), lab.session(family):
        traffic.exchange(*ends)


@pytest.mark.parametrize("kind", ["invalid_drop", "masquerade", "both"])
def test_a_refusal_by_the_server_reaches_the_client_behind_a_firewall(lab, run, family, kind):
    use(lab, kind)
    limpid = run()
    with pytest.raises(ConnectionResetError):
        traffic.receive_all(lab.connect(family))
    assert limpid.sessions_logged(1)[0]["reason"] == "connect_refused"


@pytest.mark.parametrize("kind", ["masquerade", "both"])
def test_an_icmp_error_reaches_us_through_masquerade(lab, run, family, kind):
    use(lab, kind)
    limpid = run()
    lab.server.nft(
        """table inet refusing { chain in { type filter hook input priority 0;
        tcp dport 8080 reject with icmpx type host-unreachable; }; }"""
    )
    with pytest.raises(ConnectionResetError):
        traffic.receive_all(lab.connect(family))
    assert limpid.sessions_logged(1)[0]["reason"] == "connect_unreachable"


@pytest.mark.parametrize("kind", ["invalid_drop", "masquerade", "both"])
def test_local_connections_work_behind_a_firewall(lab, run, family, kind):
    use(lab, kind)
    limpid = run("--local")
    client, server = lab.session(family, namespace=lab.gateway)
    assert endpoint(server.getpeername())[0] == family.gateway_wan
    traffic.exchange(client, server)
    traffic.finish(client, server)
    assert limpid.sessions_logged(1)[0]["reason"] == "done"


def test_masquerade_that_comes_later_holds_for_new_sessions(lab, run, family):
    use(lab, "invalid_drop")
    run()
    old, old_server = lab.session(family)
    lab.gateway.nft(MASQUERADE)
    traffic.exchange(old, old_server)
    client, server = lab.session(family)
    assert endpoint(server.getpeername())[0] == family.gateway_wan
    traffic.exchange(client, server)
    traffic.finish(client, server)
    traffic.finish(old, old_server)
    lab.gateway.run("nft", "delete", "table", "inet", "nat")


def test_an_input_policy_that_drops_what_we_take_is_said_with_the_rule_to_add(lab, run):
    lab.gateway.nft(FIREWALL.format(accept_ours=""))
    limpid = run()
    (sentence,) = (text for text in limpid.status()["degraded"] if "input" in text.lower())
    assert "firewall" in sentence
    assert "0x10000000" in sentence and "accept" in sentence
    assert "input" in limpid.stderr().lower()


def test_a_firewall_that_accepts_our_mark_is_not_complained_of(lab, run):
    lab.gateway.nft(FIREWALL.format(accept_ours=ACCEPT_OURS))
    assert run().status()["degraded"] == []
