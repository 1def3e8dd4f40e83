# SPDX-License-Identifier: MIT
# Which datagrams are taken, and which are left alone: ports, prefixes, interfaces, our own addresses, groups.
import socket
import struct

import pytest
from support import traffic, udp
from support.deadline import stays_silent
from support.families import IPV4, IPV6
from support.lab import PORT, endpoint
from support.runner import TAKE_UDP

DEFAULTS = TAKE_UDP
ALL = ("--interface", "lan0", "--udp", "all")


def expect(lab, family, is_taken, **options):
    client, server = udp.flow(lab, family, **options)
    with udp.forwarded(lab, family, 0 if is_taken else 2):
        udp.exchange(client, server)
    client.close()
    server.close()


def test_other_ports_are_left_alone(lab, limpid, family):
    expect(lab, family, False, port=8081)
    expect(lab, family, True)
    limpid.wait_udp(flows=1)


@pytest.mark.parametrize(
    ("ports", "port", "is_taken"),
    [
        ("all", 1, True),
        ("all", 65535, True),
        ("8000-8999", 8999, True),
        ("8000-8999", 9000, False),
        ("53,8080", 53, True),
    ],
)
def test_ports_are_taken_by_list_by_range_and_all(lab, run, family, ports, port, is_taken):
    run(defaults=("--interface", "lan0", "--udp", ports))
    expect(lab, family, is_taken, port=port)


def test_tcp_and_udp_of_one_port_are_taken_apart(lab, run, family):
    run("--tcp", "8080")
    expect(lab, family, True)
    client, server = lab.session(family)
    assert lab.is_intercepted(client)
    traffic.exchange(client, server)


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_port_of_one_protocol_is_left_alone_in_the_other(lab, run, family, protocol):
    run(defaults=("--interface", "lan0", f"--{protocol}", "8080"))
    expect(lab, family, protocol == "udp")
    client, server = lab.session(family)
    assert lab.is_intercepted(client) == (protocol == "tcp")
    traffic.exchange(client, server)


def test_bypassed_destinations_are_left_alone(lab, run, family):
    run("--bypass", f"{family.server_alias},192.0.2.0/24")
    expect(lab, family, False, address=family.server_alias)
    expect(lab, family, True)


def test_bypassed_clients_are_left_alone(lab, run, family):
    lab.client.ip(f"address add {family.second_client} dev eth0 {'nodad' if family.version == 6 else ''}")
    second = family.second_client.partition("/")[0]
    run("--bypass-from", f"{second},10.250.0.0/16,fd99::/32")
    expect(lab, family, False, source=second)
    expect(lab, family, True, source=family.client)


def test_what_comes_in_by_another_interface_is_left_alone(lab, run, family):
    limpid = run(defaults=("--interface", "wan0", "--udp", "8080"))
    expect(lab, family, False)
    limpid.wait_udp(flows=0)


def test_an_interface_may_be_named_by_its_first_letters(lab, run, family):
    run(defaults=("--interface", "la*", "--udp", "8080"))
    expect(lab, family, True)


def test_answers_by_an_interface_of_clients_are_answers(lab, run, family):
    limpid = run("--handover", "off", defaults=("--interface", "lan0,wan0", "--udp", "all"))
    up, up_server = udp.flow(lab, family)
    down_server = udp.bound(lab, family, lab.client, port=9000)
    down = udp.client(lab, family, family.client, port=9000, namespace=lab.server)
    with udp.relayed(lab, family):
        for _ in range(3):
            udp.exchange(up, up_server)
            udp.exchange(down, down_server)
    limpid.wait_udp(flows=2, datagrams_up=6, datagrams_down=6)


def test_a_server_behind_an_interface_of_clients_is_served_too(lab, run, family):
    other = lab.add_other_server()
    run(defaults=("--interface", "lan0,wan1", "--udp", "8080"))
    server = udp.bound(lab, family, other)
    client = udp.client(lab, family, family.other_server)
    with udp.relayed(lab, family):
        udp.exchange(client, server)


@pytest.mark.parametrize("ports", ["8080", "all"])
def test_a_service_of_the_gateway_itself_is_served_by_it(lab, run, family, ports):
    limpid = run("--local", defaults=("--interface", "lan0", "--udp", ports))
    service = udp.bound(lab, family, lab.gateway)
    for origin in lab.client, lab.gateway:
        for address in family.gateway_lan, family.gateway_wan:
            udp.exchange(udp.client(lab, family, address, namespace=origin), service)
    udp.exchange(udp.client(lab, family, family.loopback, namespace=lab.gateway), service)
    # With every port taken, what the service answers to the client looks like a question of the gateway's own.
    limpid.wait_udp(flows=2 if ports == "all" else 0)


def test_a_service_of_the_gateway_does_not_get_what_is_meant_for_the_server(lab, run, family):
    # It holds the wildcard address, and another one the client's own port.
    services = [udp.bound(lab, family, lab.gateway), udp.bound(lab, family, lab.gateway, port=40000)]
    run("--handover", "off")
    client, server = udp.flow(lab, family, source_port=40000)
    with udp.relayed(lab, family):
        for _ in range(3):
            udp.exchange(client, server)
    assert stays_silent(services, 0.05)


def test_broadcasts_are_left_alone(lab, run):
    limpid = run(defaults=ALL)
    service = udp.bound(lab, IPV4, lab.gateway)
    client = udp.bound(lab, IPV4, lab.client, port=40000)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
    for address in "255.255.255.255", "10.1.0.255":
        client.sendto(b"anybody?", (address, PORT))
        seen = udp.receive(service)
        assert (seen.data, seen.destination) == (b"anybody?", address)
        service.sendto(b"here", seen.source)
        assert udp.receive(client).data == b"here"
    limpid.wait_udp(flows=0)


def join(sock, family, group, interface):
    index = struct.pack("=i", interface)
    if family.version == 4:
        sock.setsockopt(socket.SOL_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + bytes(4) + index)
    else:
        sock.setsockopt(
            socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, socket.inet_pton(socket.AF_INET6, group) + index
        )


def send_to_group(sock, family, group, interface):
    index = struct.pack("=i", interface)
    if family.version == 4:
        sock.setsockopt(socket.SOL_IP, socket.IP_MULTICAST_IF, bytes(8) + index)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    sock.sendto(b"anybody?", (group, PORT))


@pytest.mark.parametrize("scope", ["link", "site"])
def test_multicasts_are_left_alone(lab, run, family, scope):
    limpid = run(defaults=ALL)
    group = {(4, "link"): "224.0.0.251", (4, "site"): "239.1.2.3", (6, "link"): "ff02::fb", (6, "site"): "ff05::fb"}[
        family.version, scope
    ]
    service = udp.bound(lab, family, lab.gateway)
    join(service, family, group, interface_index(lab.gateway, "lan0"))
    client = udp.bound(lab, family, lab.client, port=40000)
    send_to_group(client, family, group, interface_index(lab.client, "eth0"))
    seen = udp.receive(service)
    assert (seen.data, seen.destination) == (b"anybody?", group)
    limpid.wait_udp(flows=0)


def interface_index(namespace, name):
    with namespace.enter():
        return socket.if_nametoindex(name)


def test_link_local_addresses_are_left_alone(lab, run):
    limpid = run(defaults=ALL)
    service = udp.bound(lab, IPV6, lab.gateway)
    address = lab.gateway.ip("-6 -brief address show dev lan0 scope link").split()[2].partition("/")[0]
    client = udp.bound(lab, IPV6, lab.client, port=40000)
    client.sendto(b"neighbour", (address, PORT, 0, interface_index(lab.client, "eth0")))
    assert udp.receive(service).data == b"neighbour"
    limpid.wait_udp(flows=0)


def test_ping_passes_untouched(lab, run, family):
    run(defaults=ALL)
    traffic.ping(lab.client, family, family.server)


def test_without_local_this_machines_own_datagrams_are_left_alone(lab, limpid, family):
    client, server = udp.flow(lab, family, namespace=lab.gateway)
    udp.exchange(client, server)
    limpid.wait_udp(flows=0)


@pytest.mark.parametrize("source_port", [0, 500])
def test_local_datagrams_keep_address_and_port(lab, run, family, source_port):
    limpid = run("--local", "--handover", "off")
    client, server = udp.flow(lab, family, namespace=lab.gateway, source_port=source_port)
    assert endpoint(client.getsockname())[0] == family.gateway_wan
    for _ in range(3):
        udp.exchange(client, server)
    limpid.wait_udp(flows=1, datagrams_up=3, datagrams_down=0)  # the answers went to the program, past limpid


def test_local_datagrams_work_with_local_alone(lab, run, family):
    limpid = run(defaults=("--local", "--udp", "8080"))
    client, server = udp.flow(lab, family, namespace=lab.gateway)
    udp.exchange(client, server)
    limpid.wait_udp(flows=1)
    server.close()
    expect(lab, family, False)


def test_a_local_flow_that_goes_on_and_on_loses_nothing(lab, run, family):
    run("--local")
    client, server = udp.flow(lab, family, namespace=lab.gateway)
    for number in range(5 * udp.HANDOVER_AFTER):
        udp.exchange(client, server, udp.payload(number, 100))


def test_large_local_datagrams_arrive_whole(lab, run, family):
    run("--local", "--handover", "off")
    client, server = udp.flow(lab, family, namespace=lab.gateway)
    for size in 1472, 8192, udp.LARGEST:
        udp.exchange(client, server, udp.payload(1, size), udp.payload(2, size))


def test_a_loop_cannot_be_built_by_taking_all_local_datagrams(lab, run, family):
    limpid = run("--local", "--handover", "off", defaults=("--interface", "lan0,wan0", "--udp", "all"))
    server = udp.bound(lab, family)
    programs = [udp.client(lab, family, namespace=lab.gateway) for _ in range(5)]
    programs += [udp.client(lab, family, family.server_alias, namespace=lab.gateway) for _ in range(5)]
    clients = [udp.client(lab, family) for _ in range(5)]
    for _ in range(3):
        for client in (*programs, *clients):
            udp.exchange(client, server)
    limpid.wait_udp(flows=15, datagrams_up=45, datagrams_down=15)
    assert stays_silent([server, *programs, *clients], 0.05)
    assert limpid.udp_counter("datagrams_up") == 45


def test_a_listener_is_on_the_loopback_addresses_alone_and_its_datagrams_lead_nowhere(lab, run, family):
    limpid = run("--local", defaults=ALL)
    worker = limpid.pids()["worker"]
    lines = lab.gateway.run("ss", "-Hlunp").stdout.splitlines()
    endpoints = [line.split()[3].rpartition(":")[::2] for line in lines if f"pid={worker}," in line]
    assert {address.strip("[]") for address, _ in endpoints} == {"127.0.0.1", "::1"}
    for address, port in endpoints:
        if address.strip("[]") == family.loopback:
            client = udp.client(lab, family, family.loopback, port=int(port), namespace=lab.gateway)
            for _ in range(10):
                client.send(b"whom do you mean?")
    client, server = udp.flow(lab, family)
    udp.exchange(client, server)
    status = limpid.wait_udp(datagrams_up=1, datagrams_down=1)
    assert status["counters"]["udp"]["flows"] == 1
