# SPDX-License-Identifier: MIT
# The lab's datagrams, without Limpid: what the other tests of UDP take for granted.
import errno
import socket

import pytest
from support import packets, udp
from support.deadline import stays_silent
from support.lab import PORT, endpoint
from support.sniffer import Sniffer


def test_datagrams_are_forwarded_and_both_ends_see_each_other(lab, family):
    client, server = udp.flow(lab, family)
    with udp.forwarded(lab, family, 2):
        udp.exchange(client, server)


def test_what_the_kernel_forwards_does_not_pass_for_relayed(lab, family):
    client, server = udp.flow(lab, family)
    with pytest.raises(AssertionError, match="has forwarded 2 packets, not 0"), udp.relayed(lab, family):
        udp.exchange(client, server)


def test_each_datagram_tells_its_destination_hop_limit_and_traffic_class(lab, family):
    server = udp.bound(lab, family)
    client = udp.client(lab, family, address=family.server_alias, hop_limit=20, traffic_class=0xB9)
    client.send(b"ping")
    seen = udp.receive(server)
    assert seen == udp.Datagram(b"ping", endpoint(client.getsockname()), family.server_alias, 19, 0xB9)
    udp.answer(server, seen, b"pong")
    assert udp.receive(client).source == (family.server_alias, PORT)


def test_a_client_that_asks_for_icmp_errors_gets_them(lab, family):
    client = udp.client(lab, family, errors=1)
    client.send(b"?")
    assert udp.icmp_error(client) == udp.IcmpError(errno.ECONNREFUSED, 0, family.server)
    assert udp.refusal(udp.client(lab, family)) == errno.ECONNREFUSED


def test_a_datagram_too_large_for_the_uplink_is_answered_with_the_mtu(lab, family):
    lab.gateway.ip("link set wan0 mtu 1280")
    client = udp.client(lab, family, errors=1, discover_mtu=udp.NEVER_FRAGMENT)
    client.send(bytes(1400))
    assert udp.icmp_error(client) == udp.IcmpError(errno.EMSGSIZE, 1280, family.gateway_lan)
    assert udp.path_mtu(client) == 1280


@pytest.mark.parametrize("size", [1350, 8192, udp.LARGEST])
def test_bursts_and_large_datagrams_arrive_whole(lab, family, size):
    client, server = udp.flow(lab, family)
    udp.exchange(client, server)  # the neighbours know each other now, and drop nothing meanwhile
    sizes = [size] * (200 if size < 1500 else 3)
    datagrams = [udp.payload(number, size) for number, size in enumerate(sizes)]
    udp.carry(client, server, datagrams)
    udp.carry_back(client, server, datagrams)


def test_a_lost_and_a_damaged_datagram_are_noticed(lab, family):
    client, server = udp.flow(lab, family)
    server.settimeout(0.1)
    client.send(b"something else")
    with pytest.raises(AssertionError, match="14 bytes that were not sent"):
        udp.carry(client, server, [b"ping"])
    lab.server.nft("table inet deaf { chain in { type filter hook input priority 0; udp dport 8080 drop; }; }")
    assert server.recv(100) == b"ping"
    with pytest.raises(AssertionError, match="0 of 1"):
        udp.carry(client, server, [b"ping"])


def test_the_server_answers_from_each_of_many_addresses(lab, family):
    server = udp.bound(lab, family)
    for address in lab.add_many_destinations(family, 300)[::100]:
        udp.exchange(udp.client(lab, family, address), server)


def test_a_packet_made_by_hand_is_as_good_as_a_sockets(lab, family):
    server = udp.bound(lab, family)
    for payload in b"", b"odd", b"even":
        content = packets.udp(family.client, family.server, 4000, PORT, payload)
        packets.send(lab.client, family.server, packets.ip(family.client, family.server, content))
        seen = udp.receive(server)
        assert (seen.data, seen.source) == (payload, (family.client, 4000))


def test_a_packet_with_a_wrong_checksum_is_dropped_by_its_receiver(lab, family):
    server = udp.bound(lab, family)
    content = packets.udp(family.client, family.server, 4000, PORT, b"damaged", checksum=0xBAD)
    packets.send(lab.client, family.server, packets.ip(family.client, family.server, content))
    assert stays_silent([server], 0.1)


def test_the_sniffer_sees_datagrams(lab, family):
    with Sniffer(lab.server, "eth0") as sniffer:
        client, server = udp.flow(lab, family)
        udp.exchange(client, server)
        seen = sniffer.datagrams()
    source = endpoint(client.getsockname())
    assert (*source, family.server, PORT) in seen
    assert (family.server, PORT, *source) in seen


def test_a_socket_without_a_peer_hears_everybody(lab, family):
    client = udp.bound(lab, family, lab.client, port=4000)
    sender = lab.keep(lab.server.socket(family.af, socket.SOCK_DGRAM))
    sender.sendto(b"hello", (family.client, 4000))
    assert udp.receive(client).data == b"hello"


def test_datagrams_given_to_the_kernel_in_one_piece_arrive_each(lab, family):
    client, server = udp.flow(lab, family)
    datagrams = [udp.payload(number, 1350) for number in range(20)] + [b"last"]
    udp.send_in_one_piece(client, datagrams)
    udp.expect_all(server, datagrams)
    udp.answer_in_one_piece(server, udp.asked_by(client), datagrams)
    udp.expect_all(client, datagrams)
