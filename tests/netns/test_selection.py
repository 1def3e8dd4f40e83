# SPDX-License-Identifier: MIT
# What is taken and what is left alone: ports, prefixes, interfaces, our own addresses, this machine's connections.
import pytest
from support import traffic
from support.lab import endpoint


@pytest.mark.parametrize("mode", ["forward", "local"])
def test_the_kernels_own_tproxy_matrix(lab, run, family, mode):
    # The four probes of the kernel's nft_tproxy_tcp.sh: each of two clients to a destination that is taken and to one
    # that is not.
    other = lab.add_other_server()
    limpid = run("--bypass", family.other_server, *(["--local"] if mode == "local" else []))
    taken = 0
    for origin, destination, is_taken in (
        (lab.client, lab.server, True),
        (lab.client, other, False),
        (lab.gateway, lab.server, mode == "local"),
        (lab.gateway, other, False),
    ):
        lab.listener(family, destination)
        address = family.server if destination is lab.server else family.other_server
        client = lab.connect(family, address, namespace=origin)
        server = lab.accept(family, destination)
        traffic.exchange(client, server)
        taken += is_taken
        assert limpid.counter("accepted") == taken, f"{origin.name} to {destination.name}"
        if origin is lab.client:
            assert endpoint(server.getpeername()) == endpoint(client.getsockname())
            assert lab.is_intercepted(client) == is_taken


def test_local_connections_keep_the_address_and_get_another_port(lab, run, family):
    limpid = run("--local")
    client, server = lab.session(family, namespace=lab.gateway)
    assert limpid.counter("accepted") == 1
    assert endpoint(server.getpeername())[0] == family.gateway_wan
    assert endpoint(client.getpeername()) == (family.server, 8080)
    traffic.exchange(client, server)
    traffic.finish(client, server)
    assert limpid.sessions_logged(1)[0]["source_kept"] == "address"


def test_local_connections_work_with_local_alone(lab, run, family):
    limpid = run(defaults=("--local", "--tcp", "8080"))
    client, server = lab.session(family, namespace=lab.gateway)
    traffic.exchange(client, server)
    assert limpid.counter("accepted") == 1
    forwarded, _ = lab.session(family)
    assert not lab.is_intercepted(forwarded)


def test_without_local_this_machines_own_connections_are_left_alone(lab, limpid, family):
    client, server = lab.session(family, namespace=lab.gateway)
    assert endpoint(server.getpeername()) == endpoint(client.getsockname())
    assert limpid.counter("accepted") == 0


def test_other_ports_are_left_alone(lab, limpid, family):
    client, server = lab.session(family, port=8081)
    traffic.exchange(client, server)
    assert not lab.is_intercepted(client)


@pytest.mark.parametrize(
    ("ports", "port", "is_taken"),
    [
        ("all", 1, True),
        ("all", 65535, True),
        ("8000-8999", 8999, True),
        ("8000-8999", 9000, False),
        ("22,8080", 22, True),
    ],
)
def test_ports_are_taken_by_list_by_range_and_all(lab, run, family, ports, port, is_taken):
    run(defaults=("--interface", "lan0", "--tcp", ports))
    client, server = lab.session(family, port=port)
    traffic.exchange(client, server)
    assert lab.is_intercepted(client) == is_taken


def test_bypassed_destinations_are_left_alone(lab, run, family):
    run("--bypass", f"{family.server_alias},192.0.2.0/24")
    for address, is_taken in (family.server, True), (family.server_alias, False):
        client, server = lab.session(family, address=address)
        traffic.exchange(client, server)
        assert lab.is_intercepted(client) == is_taken


def test_bypassed_clients_are_left_alone(lab, run, family):
    lab.client.ip(f"address add {family.second_client} dev eth0 {'nodad' if family.version == 6 else ''}")
    run("--bypass-from", f"{family.second_client.partition('/')[0]},10.250.0.0/16,fd99::/32")
    for address, is_taken in (family.client, True), (family.second_client.partition("/")[0], False):
        client, server = lab.session(family, prepare=lambda sock: sock.bind((address, 0)))
        assert endpoint(server.getpeername())[0] == address
        assert lab.is_intercepted(client) == is_taken


def test_an_interface_may_be_named_by_its_first_letters(lab, run, family):
    run(defaults=("--interface", "la*", "--tcp", "8080"))
    client, server = lab.session(family)
    traffic.exchange(client, server)
    assert lab.is_intercepted(client)


def test_what_comes_in_by_another_interface_is_left_alone(lab, run, family):
    limpid = run(defaults=("--interface", "wan0", "--tcp", "8080"))
    client, server = lab.session(family)
    traffic.exchange(client, server)
    assert not lab.is_intercepted(client)
    assert limpid.counter("accepted") == 0


def test_a_server_behind_an_interface_of_clients_is_served_too(lab, run, family):
    other = lab.add_other_server()
    run(defaults=("--interface", "lan0,wan1", "--tcp", "8080"))
    lab.listener(family, other)
    client = lab.connect(family, family.other_server)
    server = lab.accept(family, other)
    assert lab.is_intercepted(client)
    assert endpoint(server.getpeername()) == endpoint(client.getsockname())
    sending = traffic.Background(traffic.send_stream, server, 8 << 20)
    assert traffic.receive_stream(client) == sending.result()


def test_connections_in_both_directions_are_taken_where_both_interfaces_are_named(lab, run, family):
    run(defaults=("--interface", "lan0,wan0", "--tcp", "8080"))
    up, up_server = lab.session(family)
    lab.listener(family, lab.client)
    down = lab.connect(family, family.client, namespace=lab.server)
    down_server = lab.accept(family, lab.client)
    for client, server in (up, up_server), (down, down_server):
        assert lab.is_intercepted(client)
        assert endpoint(server.getpeername()) == endpoint(client.getsockname())
        traffic.exchange(client, server)


def test_a_service_of_the_gateway_itself_is_left_alone(lab, limpid, family):
    lab.listener(family, lab.gateway)
    for address in family.gateway_lan, family.gateway_wan:
        client = lab.connect(family, address)
        server = lab.accept(family, lab.gateway)
        assert endpoint(server.getpeername()) == endpoint(client.getsockname())
        traffic.exchange(client, server)
    assert limpid.counter("accepted") == 0


def test_a_service_of_the_gateway_on_the_same_port_does_not_get_what_is_meant_for_the_server(lab, limpid, family):
    lab.listener(family, lab.gateway)
    client, server = lab.session(family)
    traffic.exchange(client, server)
    assert endpoint(server.getsockname()) == (family.server, 8080)


def test_ping_passes_untouched(lab, limpid, family):
    traffic.ping(lab.client, family, family.server)
