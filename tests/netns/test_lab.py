# SPDX-License-Identifier: MIT
# The lab itself, without Limpid: what the other tests take for granted.
import pytest
from support import traffic
from support.deadline import eventually
from support.families import IPV4
from support.kernel_state import KernelState
from support.lab import endpoint, reset_on_close
from support.sniffer import Sniffer


def test_the_gateway_forwards_and_both_ends_see_each_other(lab, family):
    client, server = lab.session(family)
    assert endpoint(server.getpeername()) == endpoint(client.getsockname())
    assert endpoint(server.getpeername())[0] == family.client
    traffic.exchange(client, server)
    traffic.finish(client, server)


def test_ping_goes_through(lab, family):
    traffic.ping(lab.client, family, family.server)
    with pytest.raises(OSError):
        traffic.ping(lab.client, family, family.unused, deadline=0.1)


def test_a_second_server_is_behind_an_interface_of_its_own(lab, family):
    other = lab.add_other_server()
    lab.listener(family, other)
    client = lab.connect(family, family.other_server)
    traffic.exchange(client, lab.accept(family, other))


def test_a_small_link_on_the_way_answers_with_packet_too_big(lab, family):
    far = lab.add_server_beyond_a_small_link(mtu=1280)
    lab.listener(family, far)
    client = lab.connect(family, family.other_server)
    client.sendall(bytes(20000))
    assert len(traffic.receive_exactly(lab.accept(family, far), 20000)) == 20000
    assert "mtu 1280" in lab.client.ip(f"-{family.version} route get {family.other_server}")


def test_a_stream_arrives_with_the_checksum_it_was_sent_with(lab, family):
    client, server = lab.session(family)
    sending = traffic.Background(traffic.send_stream, client, 64 << 20)
    assert traffic.receive_stream(server) == sending.result()


def test_a_reset_is_seen_as_a_reset(lab, family):
    client, server = lab.session(family)
    reset_on_close(server).close()
    with pytest.raises(ConnectionResetError):
        traffic.receive_all(client)


def test_the_sniffer_sees_the_addresses_on_the_wire(lab, family):
    with Sniffer(lab.server, "eth0") as sniffer:
        client, server = lab.session(family)
        traffic.exchange(client, server)
        seen = []
        eventually(lambda: seen.extend(sniffer.segments()) or len(seen) >= 7, what="7 segments")
    source = endpoint(client.getsockname())
    assert (*source, family.server, 8080) in seen
    assert (family.server, 8080, *source) in seen


def test_the_kernel_state_shows_what_somebody_added(lab):
    before = KernelState(lab.gateway)
    assert before == KernelState(lab.gateway)
    lab.gateway.nft("table inet t { chain c { }; }")
    lab.gateway.ip("-6 rule add fwmark 1 lookup 7 priority 9")
    lab.gateway.ip("route add local 192.0.2.0/24 dev lo table 7")
    lab.gateway.sysctl("ipv4.conf.wan0.rp_filter", 2)
    difference = before.difference(KernelState(lab.gateway))
    for expected in "table inet t", "fwmark 0x1", "table 7", "rp_filter = 2":
        assert expected in difference


def test_forwarding_keeps_up_with_many_connections(lab):
    sessions = [lab.session(IPV4) for _ in range(500)]
    for client, server in sessions:
        traffic.exchange(client, server)
