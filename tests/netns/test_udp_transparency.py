# SPDX-License-Identifier: MIT
# Neither end of a flow can tell: addresses, ports, what the IP header says.
import pytest
from support import udp
from support.lab import PORT, endpoint
from support.runner import TAKE_UDP
from support.sniffer import Sniffer

DEFAULTS = TAKE_UDP


@pytest.mark.parametrize("mode", ["forward", "local"])
def test_the_kernels_own_matrix_of_tproxy_and_udp(lab, run, family, mode):
    # The four probes of the kernel's nft_tproxy_udp.sh: each of two clients, from a fixed port, to a destination that
    # is taken and to one that is not. The answer comes from the destination, to that port.
    other = lab.add_other_server()
    limpid = run("--bypass", family.other_server, *(["--local"] if mode == "local" else []))
    taken = answered = 0
    for origin, destination, is_taken in (
        (lab.client, lab.server, True),
        (lab.client, other, False),
        (lab.gateway, lab.server, mode == "local"),
        (lab.gateway, other, False),
    ):
        server = udp.bound(lab, family, destination)
        address = family.server if destination is lab.server else family.other_server
        client = udp.client(lab, family, address, source_port=12347, namespace=origin)
        udp.exchange(client, server)
        taken += is_taken
        answered += is_taken and origin is lab.client  # answers to the gateway itself go past limpid
        limpid.wait_udp(flows=taken, datagrams_up=taken, datagrams_down=answered)
        client.close()
        server.close()


@pytest.mark.parametrize("source_port", [1, 53, 500, 1023, 65535])
def test_the_server_sees_the_exact_address_and_port_of_the_client(lab, limpid, family, source_port):
    client, server = udp.flow(lab, family, source_port=source_port)
    assert endpoint(client.getsockname()) == (family.client, source_port)
    with udp.relayed(lab, family):
        udp.exchange(client, server)
    limpid.wait_udp(flows=1)


def test_the_client_sees_nobody_but_its_destination_on_the_wire(lab, run, family):
    run("--handover", "off")
    server = udp.bound(lab, family)
    client = udp.client(lab, family, address=family.server_alias)
    source = endpoint(client.getsockname())
    with Sniffer(lab.client, "eth0") as at_client, Sniffer(lab.server, "eth0") as at_server:
        for _ in range(3):
            udp.exchange(client, server)
        for sniffer in at_client, at_server:
            assert sorted(sniffer.datagrams()) == sorted(
                3 * [(*source, family.server_alias, PORT), (family.server_alias, PORT, *source)]
            )


def test_one_client_port_reaches_two_destinations_at_once(lab, limpid, family):
    server = udp.bound(lab, family)
    first = udp.client(lab, family, source_port=40000)
    second = udp.client(lab, family, address=family.server_alias, source_port=40000)
    with udp.relayed(lab, family):
        udp.exchange(first, server, b"to the first", b"from the first")
        udp.exchange(second, server, b"to the second", b"from the second")
        udp.exchange(first, server)
    limpid.wait_udp(flows=2)


def test_answers_from_a_third_address_and_port_reach_the_client(lab, run, family):
    other = lab.add_other_server()
    run("--handover", "off")
    server = udp.bound(lab, family)
    client = udp.bound(lab, family, lab.client, port=40000)
    client.sendto(b"ping", (family.server, PORT))
    asked = udp.receive(server)
    for namespace, address, port in (
        (lab.server, family.server_alias, 9999),
        (lab.server, family.server, 9999),
        (other, family.other_server, PORT),
    ):
        third = udp.bound(lab, family, namespace, address, port)
        third.sendto(b"from a third", asked.source)
        heard = udp.receive(client)
        assert (heard.data, heard.source) == (b"from a third", (address, port))
        client.sendto(b"to the third", heard.source)
        assert udp.receive(third).source == (family.client, 40000)
    udp.answer(server, asked, b"pong")
    assert udp.receive(client).source == (family.server, PORT)


def test_a_server_that_speaks_first_is_heard_and_answered(lab, run, family):
    run("--handover", "off")
    server = udp.bound(lab, family, address=family.server)
    client = udp.bound(lab, family, lab.client, port=40000)
    for number in range(5):
        message = b"%d" % number
        server.sendto(message, (family.client, 40000))
        assert udp.receive(client).data == message
        client.sendto(message, (family.server, PORT))
        assert udp.receive(server).source == (family.client, 40000)


def test_where_connections_keep_the_address_alone_datagrams_keep_the_port_too(lab, run, family):
    run("--source", "address", "--tcp", "8080")
    client, server = udp.flow(lab, family)
    with udp.relayed(lab, family):
        udp.exchange(client, server)


@pytest.mark.parametrize("handover", ["auto", "off"])
def test_a_flow_from_before_the_start_goes_on(lab, run, family, handover):
    client, server = udp.flow(lab, family)
    udp.exchange(client, server)
    run("--handover", handover)
    for _ in range(2 * udp.HANDOVER_AFTER):
        udp.exchange(client, server)


def test_the_hop_limit_falls_by_one_each_way(lab, limpid, family):
    client, server = udp.flow(lab, family, hop_limit=20)
    udp.set_option(server, hop_limit=33)
    with udp.relayed(lab, family):
        client.send(b"ping")
        asked = udp.receive(server)
        assert asked.hop_limit == 19
        udp.answer(server, asked, b"pong")
        assert udp.receive(client).hop_limit == 32


@pytest.mark.parametrize("traffic_class", [0, 0x02, 0x03, 0xB8, 0xB9], ids=hex)
def test_dscp_and_ecn_are_carried_each_way(lab, limpid, family, traffic_class):
    client, server = udp.flow(lab, family, traffic_class=traffic_class)
    udp.set_option(server, traffic_class=traffic_class ^ 0x28)
    with udp.relayed(lab, family):
        client.send(b"ping")
        asked = udp.receive(server)
        assert asked.traffic_class == traffic_class
        udp.answer(server, asked, b"pong")
        assert udp.receive(client).traffic_class == traffic_class ^ 0x28


def test_a_mark_of_congestion_on_one_datagram_is_not_put_on_the_next(lab, run, family):
    run("--handover", "off")
    client, server = udp.flow(lab, family)
    for traffic_class in 0x02, 0x03, 0x01, 0x00, 0x03, 0x02:
        udp.set_option(client, traffic_class=traffic_class)
        client.send(b"ping")
        assert udp.receive(server).traffic_class == traffic_class
