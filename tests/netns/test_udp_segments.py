# SPDX-License-Identifier: MIT
# Datagrams that the kernel carries in one piece (UDP_SEGMENT, UDP_GRO), as every QUIC stack sends them: each of them is
# a datagram of its own.
import errno
import socket

import pytest
from support import processes, udp
from support.deadline import eventually
from support.families import IPV4
from support.firewalls import source_seen, use
from support.lab import PORT
from support.runner import TAKE_UDP

DEFAULTS = TAKE_UDP
SOCKETS_KEPT = 4 * 32  # that may be kept for sending in one piece, whatever the number of flows


def pieces(count, size, last=None):
    return [udp.payload(number, size) for number in range(count)] + ([udp.payload(count, last)] if last else [])


def both_ways(client, server, datagrams):
    udp.send_in_one_piece(client, datagrams)
    udp.expect_all(server, datagrams)
    udp.answer_in_one_piece(server, udp.asked_by(client), datagrams)
    udp.expect_all(client, datagrams)


@pytest.mark.parametrize(
    "datagrams",
    [pieces(40, 1350), pieces(48, 1200, 1), pieces(60, 100, 99), pieces(2, 1452), pieces(3, 10, 3), pieces(64, 1)],
    ids=lambda datagrams: f"{len(datagrams)}_of_{len(datagrams[0])}",
)
def test_each_arrives_as_it_was_sent(lab, run, family, datagrams):
    limpid = run("--handover", "off")
    client, server = udp.flow(lab, family)
    with udp.relayed(lab, family):
        for _ in range(5):
            both_ways(client, server, datagrams)
    count, size = 5 * len(datagrams), 5 * sum(map(len, datagrams))
    limpid.wait_udp(datagrams_up=count, datagrams_down=count, bytes_up=size, bytes_down=size)


def test_they_are_of_one_hop_less_and_of_the_same_class(lab, run, family):
    run("--handover", "off")
    client, server = udp.flow(lab, family, hop_limit=20, traffic_class=0xB9)
    udp.set_option(server, hop_limit=33, traffic_class=0x02)
    udp.send_in_one_piece(client, pieces(10, 1000))
    udp.answer_in_one_piece(server, udp.asked_by(client), pieces(10, 1000))
    for receiver, hop_limit, traffic_class in (server, 19, 0xB9), (client, 32, 0x02):
        for _ in range(10):
            seen = udp.receive(receiver)
            assert (seen.hop_limit, seen.traffic_class) == (hop_limit, traffic_class)


@pytest.mark.parametrize("kind", ["invalid_drop", "masquerade", "both"])
def test_they_pass_a_firewall_and_masquerade(lab, run, family, kind):
    use(lab, kind)
    run("--handover", "off")
    client, server = udp.flow(lab, family)
    datagrams = pieces(40, 1350)
    for _ in range(5):
        udp.send_in_one_piece(client, datagrams)
        seen = [udp.receive(server) for _ in datagrams]
        assert {datagram.source for datagram in seen} == {(source_seen(family, kind), client.getsockname()[1])}
        assert sorted(datagram.data for datagram in seen) == sorted(datagrams)
        udp.answer_in_one_piece(server, seen[0], datagrams)
        udp.expect_all(client, datagrams)


def can_bind(sock, port):
    try:
        sock.bind(("", port))
    except OSError as error:
        assert error.errno == errno.EADDRINUSE
        return False
    return True


def test_the_port_of_a_flow_stays_free_for_local_services(lab, run, family):
    run("--handover", "off")
    client, server = udp.flow(lab, family, source_port=40000)
    both_ways(client, server, pieces(40, 1350))
    for port in 40000, PORT:
        service = lab.keep(lab.gateway.socket(family.af, socket.SOCK_DGRAM))
        eventually(lambda: can_bind(service, port), 1.0, "a batch is over, and its socket closed")
    both_ways(client, server, pieces(40, 1350))


def test_a_local_service_on_the_port_of_a_flow_is_no_obstacle(lab, run, family):
    for port in 40000, PORT:
        service = lab.keep(lab.gateway.socket(family.af, socket.SOCK_DGRAM))
        service.bind(("", port))
    run("--handover", "off")
    client, server = udp.flow(lab, family, source_port=40000)
    with udp.relayed(lab, family):
        both_ways(client, server, pieces(40, 1350))


def test_flows_of_many_ports_take_few_descriptors(lab, run, family):
    limpid = run("--handover", "off")
    worker = limpid.pids()["worker"]
    server = udp.bound(lab, family)
    before = len(processes.descriptors(worker))
    for _ in range(150):
        both_ways(udp.client(lab, family), server, pieces(3, 1000))
    assert len(processes.descriptors(worker)) <= before + SOCKETS_KEPT


def test_too_large_for_the_uplink_they_are_answered_with_the_mtu(lab, run, family):
    lab.gateway.ip("link set wan0 mtu 1280")
    run("--handover", "off")
    client = udp.client(lab, family, errors=1, discover_mtu=udp.NEVER_FRAGMENT)
    udp.send_in_one_piece(client, pieces(10, 1350))
    error = udp.icmp_error(client)
    assert (error.errno, error.mtu) == (errno.EMSGSIZE, 1280)


def test_where_fragments_are_allowed_they_are_sent_in_fragments(lab, run):
    lab.gateway.ip("link set wan0 mtu 1280")
    run("--handover", "off")
    client, server = udp.flow(lab, IPV4, discover_mtu=udp.FRAGMENT)
    both_ways(client, server, pieces(10, 1200))
    udp.send_in_one_piece(client, pieces(10, 1350))
    udp.expect_all(server, pieces(10, 1350))


def test_a_refusal_reaches_the_client(lab, run, family):
    run("--handover", "off")
    client, server = udp.flow(lab, family)
    udp.exchange(client, server)
    server.close()
    udp.send_in_one_piece(client, pieces(10, 100))
    with pytest.raises(ConnectionRefusedError):
        client.recv(1)


def test_local_programs_may_send_so_too(lab, run, family):
    run("--local", "--handover", "off")
    client, server = udp.flow(lab, family, namespace=lab.gateway)
    for _ in range(3):
        both_ways(client, server, pieces(40, 1350))


def test_a_flow_that_sends_so_is_handed_over_and_counted_right(lab, run, family):
    limpid = run("--answered-timeout", "2s")
    client, server = udp.flow(lab, family)
    for _ in range(10):
        both_ways(client, server, pieces(20, 1000))
    (line,) = limpid.sessions_logged(1)
    # What the kernel forwards in one piece it counts as one.
    assert line["via"] == "kernel" and line["datagrams_up"] <= 200 and line["datagrams_down"] <= 200
    assert (line["bytes_up"], line["bytes_down"]) == (200_000, 200_000)
