# SPDX-License-Identifier: MIT
# Packets that no honest program sends: they harm nobody, and nothing is made of them that was not sent.
import os

import pytest
from support import packets, udp
from support.deadline import stays_silent
from support.families import IPV4
from support.lab import PORT
from support.runner import TAKE_UDP

DEFAULTS = TAKE_UDP


@pytest.fixture
def unharmed(lab, run, family):
    """Whatever the test does meanwhile, a flow from before and a new one are served by the same worker."""
    limpid = run("--handover", "off")
    worker = limpid.pids()["worker"]
    client, server = udp.flow(lab, family)
    udp.exchange(client, server)
    yield limpid
    assert udp.comes_through(client, server, 2.0)
    assert udp.comes_through(udp.client(lab, family), server, 2.0)
    assert limpid.pids()["worker"] == worker
    assert limpid.sanitizer_reports() == []


def send(lab, family, *contents, source=None):
    made = (packets.ip(source or family.client, family.server, content) for content in contents)
    packets.send(lab.client, family.server, *made)


def test_a_source_port_of_zero(lab, unharmed, family):
    for payload in b"", b"x", bytes(1000):
        send(lab, family, packets.udp(family.client, family.server, 0, PORT, payload))


def test_a_destination_port_of_zero(lab, unharmed, family):
    send(lab, family, packets.udp(family.client, family.server, 4000, 0, b"x"))


@pytest.mark.parametrize("length", [0, 1, 7, 9, 2000, 65535])
def test_a_length_that_is_wrong(lab, unharmed, family, length):
    server = udp.bound(lab, family, address=family.server_alias, port=8081)
    send(lab, family, packets.udp(family.client, family.server, 4000, PORT, b"", length=length))
    send(lab, family, packets.udp(family.client, family.server, 4000, PORT, bytes(100), length=length, checksum=0))
    assert stays_silent([server], 0.05)


def test_packets_cut_short(lab, unharmed, family):
    content = packets.udp(family.client, family.server, 4000, PORT, b"payload")
    send(lab, family, *(content[:size] for size in range(len(content))))


def test_garbage(lab, unharmed, family):
    send(lab, family, *(os.urandom(size) for size in range(1, 1400, 7)))


def test_addresses_that_nobody_may_have(lab, unharmed, family):
    sources = {
        4: ("127.0.0.1", "0.0.0.0", "255.255.255.255", "10.1.0.255", "224.0.0.1", "240.0.0.1"),
        6: ("::1", "::", "ff02::1", "fe80::1", "::ffff:10.1.0.2"),
    }[family.version]
    for source in sources:
        send(lab, family, packets.udp(source, family.server, 4000, PORT, b"x"), source=source)


def test_addresses_of_others(lab, unharmed, family):
    # The server's own, the gateway's, one beyond the uplink.
    for source in family.server, family.gateway_lan, family.gateway_wan, family.unused, family.other_server:
        for port in PORT, 4000:
            send(lab, family, packets.udp(source, family.server, port, PORT, b"x"), source=source)


def test_answers_to_questions_that_nobody_asked(lab, unharmed, family):
    for port in range(1, 200):
        content = packets.udp(family.server, family.client, PORT, port, b"x")
        packets.send(lab.server, family.client, packets.ip(family.server, family.client, content))
    unharmed.wait_udp(datagrams_down=1)


def test_an_answer_from_the_wrong_side_meets_the_reverse_path_filter(lab, run):
    # Somebody among the clients speaks in the server's name.
    lab.gateway.sysctl("ipv4.conf.lan0.rp_filter", 1)
    run("--handover", "off")
    client, server = udp.flow(lab, IPV4, source_port=40000)
    udp.exchange(client, server)
    content = packets.udp(IPV4.server, IPV4.client, PORT, 40000, b"forged")
    packets.send(lab.client, IPV4.server, packets.ip(IPV4.server, IPV4.client, content))
    assert stays_silent([client], 0.1)
    udp.exchange(client, server)
