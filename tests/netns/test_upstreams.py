# SPDX-License-Identifier: MIT
# Through an upstream proxy: SOCKS5, HTTP CONNECT, and servers that are told of the client. Real ones, in the namespace
# behind wan1, so that whoever comes from there has come through the proxy.
import socket
import struct

import pytest
from support import traffic, upstreams, web
from support.lab import endpoint
from support.outcomes import exchange_streams, http_request
from support.settings import intercept, limits, rule, upstream

MIB = 1 << 20
USER, PASSWORD = "limpid", "correct-horse"
PROXIES = {"socks5": (upstreams.microsocks, upstreams.SOCKS), "http-connect": (upstreams.tinyproxy, upstreams.CONNECT)}
TELLING = {"nginx": upstreams.nginx_that_is_told, "haproxy": upstreams.haproxy_that_is_told}


@pytest.fixture
def other(lab):
    return lab.add_other_server()


@pytest.fixture(params=PROXIES)
def kind(request):
    return request.param


def through(kind, family, port, **keys):
    """Everything goes through this upstream."""
    address = [family.text(family.other_server, port)]
    return upstream(name="office", type=kind, address=address, **keys) + rule(name="all", action="office")


def password_in(directory):
    path = directory / "office.secret"
    path.write_text(PASSWORD + "\n")
    path.chmod(0o600)
    return {"username": USER, "password_file": str(path)}


def expect_logged(limpid, reason="done", **fields):
    (line,) = limpid.sessions_logged(1)
    expected = {"rule": "all", "upstream": "office", "reason": reason, **fields}
    assert {key: line[key] for key in expected} == expected
    return line


@pytest.mark.parametrize("password", [None, PASSWORD], ids=["open", "with_a_password"])
def test_a_proxy_carries_all_bytes_both_ways(lab, other, run, tmp_path, family, kind, password):
    start, port = PROXIES[kind]
    with start(other, tmp_path, **({"username": USER, "password": password} if password else {})):
        secret = password_in(tmp_path) if password else {}
        limpid = run.configured(intercept(), through(kind, family, port, **secret))
        client, server = lab.session(family)
        assert lab.is_intercepted(client)
        assert endpoint(server.getpeername())[0] == family.other_server
        assert endpoint(server.getsockname()) == (family.server, 8080)
        traffic.exchange(client, server)
        exchange_streams(client, server)
        traffic.finish(client, server)
        expect_logged(limpid, bytes_up=MIB + 4, bytes_down=MIB + 4)


def test_a_half_closed_connection_stays_so_through_socks5(lab, other, run, tmp_path, family):
    with upstreams.danted(other, tmp_path):
        limpid = run.configured(intercept(), through("socks5", family, upstreams.SOCKS))
        client, server = lab.session(family)
        assert endpoint(server.getpeername())[0] == family.other_server
        sending = traffic.Background(traffic.send_stream, client, MIB)
        assert traffic.receive_stream(server) == sending.result()
        sending = traffic.Background(traffic.send_stream, server, MIB)
        assert traffic.receive_stream(client) == sending.result()
        server.close()
        expect_logged(limpid, bytes_up=MIB, bytes_down=MIB)


def test_sixty_four_connections_at_once(lab, other, run, tmp_path, family, kind):
    start, port = PROXIES[kind]
    with start(other, tmp_path):
        limpid = run.configured(intercept(), through(kind, family, port))
        lab.listener(family)
        clients = [lab.connect(family) for _ in range(64)]
        for number, client in enumerate(clients):
            client.sendall(bytes([number]))
        servers = {}
        for _ in clients:
            server = lab.accept(family)
            servers[traffic.receive_exactly(server, 1)[0]] = server
        assert len(servers) == 64
        for number, client in enumerate(clients):
            traffic.exchange(client, servers[number], bytes([number]) * 1000, bytes([~number & 255]) * 1000)
        limpid.wait_sessions(64)
        for number, client in enumerate(clients):
            traffic.finish(client, servers[number])
        assert {line["upstream"] for line in limpid.sessions_logged(64)} == {"office"}


def test_with_send_host_the_proxy_is_given_the_name(lab, other, run, tmp_path, family, kind):
    # The proxy knows the name by another address than the client does.
    start, port = PROXIES[kind]
    with start(other, tmp_path, hosts={"elsewhere.example": family.server_alias}):
        limpid = run.configured(intercept(), limits(identify_timeout="5s"), through(kind, family, port, send="host"))
        lab.listener(family)
        client = lab.connect(family)
        client.sendall(http_request("elsewhere.example"))
        server = lab.accept(family)
        assert endpoint(server.getsockname()) == (family.server_alias, 8080)
        request = http_request("elsewhere.example")
        assert traffic.receive_exactly(server, len(request)) == request
        traffic.exchange(client, server)
        traffic.finish(client, server)
        expect_logged(limpid, host="elsewhere.example")


def test_with_send_host_a_connection_without_a_name_goes_by_address(lab, other, run, tmp_path, family, kind):
    start, port = PROXIES[kind]
    with start(other, tmp_path, hosts={}):
        run.configured(intercept(), limits(identify_timeout="300ms"), through(kind, family, port, send="host"))
        client, server = lab.session(family)  # the server could be one that speaks first
        assert endpoint(server.getsockname()) == (family.server, 8080)
        traffic.exchange(client, server)


def test_with_send_address_the_clients_own_choice_counts(lab, other, run, tmp_path, family, kind):
    start, port = PROXIES[kind]
    with start(other, tmp_path, hosts={"elsewhere.example": family.server_alias}):
        run.configured(intercept(), through(kind, family, port, send="address"))
        lab.listener(family)
        client = lab.connect(family)
        client.sendall(http_request("elsewhere.example"))
        assert endpoint(lab.accept(family).getsockname()) == (family.server, 8080)


def test_websites_come_through_a_proxy_whole(lab, other, run, tmp_path, family, kind):
    start, port = PROXIES[kind]
    with start(other, tmp_path), web.website(lab.server, tmp_path):
        limpid = run.configured(intercept(), through(kind, family, port))
        for way in web.WAYS:
            assert web.is_answered(web.visit(lab.client, family, way, "any.example"), way, "any.example")
        assert {line["upstream"] for line in limpid.sessions_logged(len(web.WAYS))} == {"office"}


# Upstreams of type "fixed".


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("server", TELLING)
def test_a_fixed_upstream_is_told_of_the_client(lab, other, run, tmp_path, family, version, server):
    with TELLING[server](other, tmp_path):
        limpid = run.configured(intercept(), through("fixed", family, upstreams.TOLD, proxy_protocol=version))
        client = lab.connect(family)
        client.sendall(b"GET / HTTP/1.1\r\nHost: any.example\r\nConnection: close\r\n\r\n")
        answer = traffic.receive_all(client).decode()
        told = upstreams.told(endpoint(client.getsockname()), (family.server, 8080))
        assert answer.endswith("\r\n\r\n" + told), answer
        client.close()
        expect_logged(limpid)


def fixed_session(lab, other, family):
    lab.listener(family, other, port=upstreams.TOLD)
    client = lab.connect(family)
    return client, lab.accept(family, other, port=upstreams.TOLD)


def test_a_fixed_upstream_that_is_told_nothing_gets_the_clients_bytes_alone(lab, other, run, family):
    limpid = run.configured(intercept(), through("fixed", family, upstreams.TOLD))
    client, server = fixed_session(lab, other, family)
    traffic.exchange(client, server)
    exchange_streams(client, server)
    traffic.finish(client, server)
    expect_logged(limpid, bytes_up=MIB + 4, bytes_down=MIB + 4)


def test_a_connection_of_the_gateways_own_keeps_its_address_to_an_upstream_that_sees_clients(lab, other, run, family):
    limpid = run.configured(intercept(local=True), through("fixed", family, upstreams.TOLD, source="client"))
    lab.listener(family, other, port=upstreams.TOLD)
    client = lab.connect(family, namespace=lab.gateway)
    server = lab.accept(family, other, port=upstreams.TOLD)
    assert endpoint(server.getpeername())[0] == endpoint(client.getsockname())[0]
    traffic.exchange(client, server)
    traffic.finish(client, server)
    expect_logged(limpid, source_kept="address")
    assert limpid.counter("port_unavailable") == 0  # it was not tried


def test_a_header_of_version_1_is_one_line(lab, other, run, family):
    run.configured(intercept(), through("fixed", family, upstreams.TOLD, proxy_protocol="v1"))
    client, server = fixed_session(lab, other, family)
    port = endpoint(client.getsockname())[1]
    header = f"PROXY TCP{family.version} {family.client} {family.server} {port} 8080\r\n".encode()
    assert traffic.receive_exactly(server, len(header)) == header
    traffic.exchange(client, server)


def receive_header(server):
    """Of version 2: its kind, and what it tells."""
    signature, command, kind, size = struct.unpack("!12sBBH", traffic.receive_exactly(server, 16))
    assert (signature, command) == (b"\r\n\r\n\0\r\nQUIT\n", 0x21)  # PROXY
    return kind, traffic.receive_exactly(server, size)


def test_a_header_of_version_2_has_addresses_and_ports(lab, other, run, family):
    run.configured(intercept(), through("fixed", family, upstreams.TOLD, proxy_protocol="v2"))
    client, server = fixed_session(lab, other, family)
    kind, told = receive_header(server)
    assert kind == (0x11 if family.version == 4 else 0x21)  # TCP over that family
    addresses = b"".join(socket.inet_pton(family.af, text) for text in (family.client, family.server))
    assert told.startswith(addresses + struct.pack("!HH", endpoint(client.getsockname())[1], 8080))
    traffic.exchange(client, server)


@pytest.mark.parametrize("first", ["client", "server"])
def test_a_fixed_upstream_may_be_half_closed(lab, other, run, family, first):
    run.configured(intercept(), through("fixed", family, upstreams.TOLD, proxy_protocol="v2"))
    client, server = fixed_session(lab, other, family)
    receive_header(server)
    finished, still_open = (client, server) if first == "client" else (server, client)
    finished.shutdown(socket.SHUT_WR)
    assert still_open.recv(1) == b""
    sending = traffic.Background(traffic.send_stream, still_open, MIB)
    assert traffic.receive_stream(finished) == sending.result()
