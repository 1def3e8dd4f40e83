# SPDX-License-Identifier: MIT
# The bytes of datagrams: all of them, of every size, each once.
import json

import pytest
from support import packets, udp
from support.deadline import eventually, stays_silent
from support.families import IPV4, IPV6
from support.lab import PORT
from support.runner import TAKE_UDP

DEFAULTS = TAKE_UDP


def both_ways(client, server, datagrams):
    udp.carry(client, server, datagrams)
    udp.carry_back(client, server, datagrams)


@pytest.mark.parametrize("handover", ["auto", "off"])
def test_a_burst_as_of_quic_arrives_whole(lab, run, family, handover):
    run("--handover", handover)
    client, server = udp.flow(lab, family)
    for start in range(0, 600, 200):
        both_ways(client, server, [udp.payload(number, 1350) for number in range(start, start + 200)])
    assert stays_silent([client, server], 0.05)


@pytest.mark.parametrize("size", [8192, udp.LARGEST])
def test_a_datagram_in_fragments_arrives_whole(lab, run, family, size):
    limpid = run("--handover", "off")
    client, server = udp.flow(lab, family)
    for number in range(3):
        both_ways(client, server, [udp.payload(number, size)])
    limpid.wait_udp(datagrams_up=3, datagrams_down=3, bytes_up=3 * size, bytes_down=3 * size)


def test_the_largest_datagram_of_ipv6_arrives_whole(lab, run):
    run("--handover", "off")
    client, server = udp.flow(lab, IPV6)
    both_ways(client, server, [udp.payload(1, 65527)])  # no IP header counts there


def test_a_handed_over_flow_carries_fragments_too(lab, limpid, family):
    client, server = udp.flow(lab, family)
    udp.hand_over(limpid, client, server)
    for size in 8192, udp.LARGEST:
        both_ways(client, server, [udp.payload(1, size)])


def test_every_size_arrives_as_it_was_sent(lab, run, family):
    limpid = run("--handover", "off")
    client, server = udp.flow(lab, family)
    around_a_packet = range(1440, 1480)
    sizes = sorted({*range(0, 10), *range(10, 2001, 37), *around_a_packet})
    with udp.relayed(lab, family):
        for size in sizes:
            message, reply = udp.payload(size, size), udp.payload(size + 10000, size)
            udp.exchange(client, server, message, reply)
    limpid.wait_udp(datagrams_up=len(sizes), datagrams_down=len(sizes), bytes_up=sum(sizes), bytes_down=sum(sizes))


def test_a_datagram_without_a_byte_is_one(lab, limpid, family):
    client, server = udp.flow(lab, family)
    with udp.relayed(lab, family):
        udp.exchange(client, server, b"", b"")
    limpid.wait_udp(datagrams_up=1, datagrams_down=1, bytes_up=0, bytes_down=0)


def test_a_datagram_that_was_damaged_before_us_does_not_become_a_good_one(lab, limpid, family):
    client, server = udp.flow(lab, family, source_port=40000)
    udp.exchange(client, server)
    content = packets.udp(family.client, family.server, 40000, PORT, b"damaged", checksum=0xBAD)
    packets.send(lab.client, family.server, packets.ip(family.client, family.server, content))
    content = packets.udp(family.server, family.client, PORT, 40000, b"damaged", checksum=0xBAD)
    packets.send(lab.server, family.client, packets.ip(family.server, family.client, content))
    assert stays_silent([client, server], 0.1)
    udp.exchange(client, server)


def test_a_datagram_without_a_checksum_is_carried(lab, limpid):
    server = udp.bound(lab, IPV4)
    content = packets.udp(IPV4.client, IPV4.server, 40000, PORT, b"unchecked", checksum=0)
    with udp.relayed(lab, IPV4):
        packets.send(lab.client, IPV4.server, packets.ip(IPV4.client, IPV4.server, content))
        assert udp.receive(server).data == b"unchecked"


@pytest.mark.parametrize("handover", ["auto", "off"])
@pytest.mark.parametrize("direction", ["up", "down"])
def test_iperf3_loses_nothing(lab, run, family, handover, direction):
    limpid = run("--handover", handover, defaults=("--interface", "lan0", "--udp", "5201"))
    count = 2000
    words = ["-c", family.server, "-u", "-b", "30M", "-l", "1200", "-k", count, "-w", "2M", "--json"]
    with lab.server.program("iperf3", "-s", "-1", "-B", family.server):
        eventually(lambda: lab.server.run("ss", "-Hltn", "sport = :5201").stdout, what="iperf3")
        report = json.loads(lab.client.run("iperf3", *words, *(["-R"] if direction == "down" else [])).stdout)
    assert report["end"]["sum"]["packets"] >= count
    assert report["end"]["sum"]["lost_packets"] == 0
    relayed = limpid.udp_counter(f"datagrams_{direction}")
    assert relayed >= count if handover == "off" else relayed < count
