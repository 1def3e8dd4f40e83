# SPDX-License-Identifier: MIT
# The upstream proxies and web servers themselves, without Limpid: what the tests of rules and upstreams take for
# granted.
import base64
import contextlib
import socket
import struct

import pytest
from support import quic, tls, traffic, udp, upstreams, web
from support.lab import endpoint
from support.outcomes import exchange_streams

USER, PASSWORD = "limpid", "correct-horse"
PASSWORDS = pytest.mark.parametrize("password", [None, PASSWORD], ids=["open", "with_a_password"])
ELSEWHERE = "elsewhere.example"


@pytest.fixture
def other(lab):
    return lab.add_other_server()


def credentials(password):
    return {"username": USER, "password": password} if password else {}


def socks(lab, family, command, destination, password=None):
    """The connection to the proxy, and the address and port of its reply. A refusal: ConnectionRefusedError."""
    sock = lab.connect(family, family.other_server, port=upstreams.SOCKS)
    sock.sendall(b"\5\1" + (b"\2" if password else b"\0"))
    if traffic.receive_exactly(sock, 2) == b"\5\2":
        sock.sendall(b"\1" + b"".join(bytes([len(text)]) + text.encode() for text in (USER, password)))
        if traffic.receive_exactly(sock, 2)[1]:
            raise ConnectionRefusedError("password")
    sock.sendall(bytes([5, command, 0]) + destination)
    _, code, _, kind = traffic.receive_exactly(sock, 4)
    if code:
        raise ConnectionRefusedError(f"code {code}")
    af, size = (socket.AF_INET, 4) if kind == 1 else (socket.AF_INET6, 16)
    address = socket.inet_ntop(af, traffic.receive_exactly(sock, size))
    return sock, (address, int.from_bytes(traffic.receive_exactly(sock, 2), "big"))


def by_address(family, address, port=8080):
    return bytes([1 if family.version == 4 else 4]) + socket.inet_pton(family.af, address) + struct.pack("!H", port)


def by_name(name, port=8080):
    return bytes([3, len(name)]) + name.encode() + struct.pack("!H", port)


def connect(lab, family, where, password=None):
    """The connection through the HTTP proxy to "address:port", and its answer's head."""
    sock = lab.connect(family, family.other_server, port=upstreams.CONNECT)
    basic = base64.b64encode(f"{USER}:{password}".encode()).decode()
    secret = f"Proxy-Authorization: Basic {basic}\r\n" if password else ""
    sock.sendall(f"CONNECT {where} HTTP/1.1\r\nHost: {where}\r\n{secret}\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += traffic.receive_exactly(sock, 1)
    return sock, head.decode()


def expect_carried(lab, family, client, address):
    server = lab.accept(family)
    assert endpoint(server.getpeername())[0] == family.other_server
    assert endpoint(server.getsockname()) == (address, 8080)
    traffic.exchange(client, server)
    exchange_streams(client, server)
    traffic.finish(client, server)


@PASSWORDS
def test_microsocks_connects_by_address_and_by_name(lab, other, tmp_path, family, password):
    lab.listener(family)
    names = {ELSEWHERE: family.server_alias}
    with upstreams.microsocks(other, tmp_path, hosts=names, **credentials(password)):
        for wanted, address in (
            (by_address(family, family.server), family.server),
            (by_name(ELSEWHERE), family.server_alias),
        ):
            expect_carried(lab, family, socks(lab, family, 1, wanted, password)[0], address)
        if password:
            with pytest.raises(ConnectionRefusedError, match="password"):
                socks(lab, family, 1, by_address(family, family.server), "wrong")


def test_danted_keeps_half_closed_connections(lab, other, tmp_path, family):
    lab.listener(family)
    with upstreams.danted(other, tmp_path):
        client, _ = socks(lab, family, 1, by_address(family, family.server))
        server = lab.accept(family)
        assert endpoint(server.getpeername())[0] == family.other_server
        for sender, receiver in (client, server), (server, client):
            sending = traffic.Background(traffic.send_stream, sender, 1 << 20)
            assert traffic.receive_stream(receiver) == sending.result()


def test_danted_carries_datagrams(lab, other, tmp_path, family):
    server = udp.bound(lab, family)
    client = lab.keep(lab.client.socket(family.af, socket.SOCK_DGRAM))
    client.bind((family.client, 0))
    with upstreams.danted(other, tmp_path):
        _, relay = socks(lab, family, 3, by_address(family, *endpoint(client.getsockname())))
        assert relay[0] == family.other_server
        header = bytes(3) + by_address(family, family.server)
        client.sendto(header + b"ping", relay)
        datagram = udp.receive(server)
        assert (datagram.data, datagram.source[0]) == (b"ping", family.other_server)
        udp.answer(server, datagram, b"pong")
        assert client.recv(2048) == header + b"pong"


@PASSWORDS
def test_tinyproxy_connects_by_address_and_by_name(lab, other, tmp_path, family, password):
    lab.listener(family)
    names = {ELSEWHERE: family.server_alias}
    with upstreams.tinyproxy(other, tmp_path, hosts=names, **credentials(password)):
        for where, address in (
            (family.text(family.server, 8080), family.server),
            (f"{ELSEWHERE}:8080", family.server_alias),
        ):
            client, head = connect(lab, family, where, password)
            assert head.split()[1] == "200"
            expect_carried(lab, family, client, address)
        if password:
            assert connect(lab, family, ELSEWHERE + ":8080", "wrong")[1].split()[1] in ("401", "407")


@pytest.mark.parametrize(
    "start", [upstreams.nginx_that_is_told, upstreams.haproxy_that_is_told], ids=["nginx", "haproxy"]
)
@pytest.mark.parametrize("version", [1, 2])
def test_a_server_that_is_told_of_a_client_says_so(lab, other, tmp_path, family, start, version):
    header = f"PROXY TCP{family.version} {family.client} {family.server} 5555 8080\r\n".encode()
    if version == 2:
        addresses = b"".join(socket.inet_pton(family.af, text) for text in (family.client, family.server))
        told = addresses + struct.pack("!HH", 5555, 8080)
        kind = 0x11 if family.version == 4 else 0x21
        header = struct.pack("!12sBBH", b"\r\n\r\n\0\r\nQUIT\n", 0x21, kind, len(told)) + told
    with start(other, tmp_path):
        client = lab.connect(family, family.other_server, port=upstreams.TOLD)
        client.sendall(header + b"GET / HTTP/1.1\r\nHost: any.example\r\nConnection: close\r\n\r\n")
        answer = traffic.receive_all(client).decode()
    assert answer.endswith("\r\n\r\n" + upstreams.told((family.client, 5555), (family.server, 8080))), answer


@pytest.mark.parametrize("way", web.WAYS)
def test_a_website_tells_how_it_was_asked(lab, tmp_path, family, way):
    with web.website(lab.server, tmp_path):
        assert web.is_answered(web.visit(lab.client, family, way, "any.example"), way, "any.example")
    assert web.is_reset(web.visit(lab.client, family, way, "any.example"))


def test_servers_leave_nothing_behind(lab, other, tmp_path):
    with contextlib.ExitStack() as stack:
        for start in upstreams.danted, upstreams.tinyproxy, upstreams.nginx_that_is_told:
            stack.enter_context(start(other, tmp_path))
        assert other.processes()
    assert not other.processes()


def test_a_server_that_cannot_start_says_why(lab, other, tmp_path):
    with upstreams.microsocks(other, tmp_path), pytest.raises(AssertionError, match="in use"):
        with upstreams.haproxy_that_is_told(other, tmp_path, port=upstreams.SOCKS):
            pass


# What the tests say themselves.


def test_a_client_hello_in_records_is_the_same_message():
    hello = tls.client_hello("x.ads.example")
    assert hello[0] == 22 and b"x.ads.example" in hello
    pieces = tls.in_records(hello, 100)
    message = b""
    while pieces:
        size = int.from_bytes(pieces[3:5], "big")
        message, pieces = message + pieces[5 : 5 + size], pieces[5 + size :]
    assert message == tls.message(hello)


def test_the_first_datagram_of_quic_is_as_rfc_9001_has_it():
    # Appendix A.2: the frame, and of the packet what is printed there at its beginning and its end.
    frame = bytes.fromhex(
        "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e86804fe3a47f06a2b69484c000004130113"
        "02010000c000000010000e00000b6578616d706c652e636f6dff01000100000a00080006001d00170018001000070005"
        "04616c706e000500050100000000003300260024001d00209370b2c9caa47fbabaf4559fedba753de171fa71f50f1ce1"
        "5d43e994ec74d748002b0003020304000d0010000e0403050306030203080408050806002d00020101001c0002400100"
        "3900320408ffffffffffffffff05048000ffff07048000ffff0801100104800075300901100f088394c8f03e51570806"
        "048000ffff"
    )
    packet = quic.protected(frame, bytes.fromhex("8394c8f03e515708"), number=2)
    assert packet.hex().startswith("c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11d242b123dc9b")
    assert packet.hex().endswith("e221af44860018ab0856972e194cd934")
    assert len(packet) == len(quic.initial("x.ads.example")) == 1200
