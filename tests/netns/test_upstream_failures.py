# SPDX-License-Identifier: MIT
# Upstream proxies that refuse, are down, or answer what no proxy should: the client gets a reset or another way, never
# a wrong byte.
import contextlib
import os
import select

import pytest
from support import traffic, upstreams
from support.lab import PATIENCE, endpoint, reset_on_close
from support.outcomes import is_left_waiting, is_reset, nothing_reaches
from support.settings import intercept, limits, rule, upstream

SOCKS, CONNECT = upstreams.SOCKS, upstreams.CONNECT
OTHER = 1081  # a second port for proxies
BANNER = b"220 ready\r\n"


@pytest.fixture
def other(lab):
    return lab.add_other_server()


def office(family, ports=(SOCKS,), kind="socks5", **keys):
    addresses = [family.text(family.other_server, port) for port in ports]
    return upstream(name="office", type=kind, address=addresses, **keys) + rule(name="all", action="office")


def expect_failure(lab, limpid, family):
    """The client is reset, and the log says why."""
    lab.listener(family)
    with nothing_reaches(lab.server):
        assert is_reset(lab, family, b"ping")
        (line,) = limpid.sessions_logged(1)
    assert (line["reason"], line["rule"], line["upstream"]) == ("upstream_failed", "all", "office")
    assert limpid.close_reason("upstream_failed") == 1


@pytest.mark.parametrize("kind", ["socks5", "http-connect"])
@pytest.mark.parametrize("password", [None, "wrong"], ids=["no_password", "wrong_password"])
def test_a_proxy_that_wants_another_password(lab, other, run, tmp_path, family, kind, password):
    secret = {}
    if password:
        path = tmp_path / "office.secret"
        path.write_text(password)
        path.chmod(0o600)
        secret = {"username": "limpid", "password_file": str(path)}
    start, port = (upstreams.microsocks, SOCKS) if kind == "socks5" else (upstreams.tinyproxy, CONNECT)
    with start(other, tmp_path, username="limpid", password="right"):
        limpid = run.configured(intercept(), office(family, [port], kind, **secret))
        expect_failure(lab, limpid, family)


@pytest.mark.parametrize("kind", ["socks5", "http-connect", "fixed"])
def test_a_proxy_that_is_not_there(lab, other, run, family, kind):
    expect_failure(lab, run.configured(intercept(), office(family, kind=kind)), family)


def ignore(other, port):
    other.nft(f"table inet deaf {{ chain in {{ type filter hook input priority 0; tcp dport {port} drop; }}; }}")


def test_a_proxy_that_does_not_answer(lab, other, run, family):
    ignore(other, SOCKS)
    expect_failure(lab, run.configured(intercept(), limits(connect_timeout="300ms"), office(family)), family)


def test_a_destination_that_refuses_the_proxy_is_a_reset(lab, other, run, tmp_path, family):
    with upstreams.microsocks(other, tmp_path):
        limpid = run.configured(intercept(), office(family))
        assert is_reset(lab, family, b"ping")  # nobody listens
        (line,) = limpid.sessions_logged(1)
        assert (line["reason"], line["upstream"]) in [("upstream_failed", "office"), ("connect_refused", "office")]


def test_a_proxy_that_dies_takes_its_connections_with_it(lab, other, run, tmp_path, family):
    with upstreams.microsocks(other, tmp_path) as process:
        limpid = run.configured(intercept(), office(family))
        client, server = lab.session(family)
        traffic.exchange(client, server)
        process.kill()
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""
        client.close()
        limpid.wait_sessions(0)


# Several addresses.


@pytest.mark.parametrize("down", ["refuses", "is_silent"])
@pytest.mark.parametrize("order", ["dead_first", "dead_last"])
def test_an_address_that_fails_is_passed_over(lab, other, run, tmp_path, family, down, order):
    if down == "is_silent":
        ignore(other, OTHER)
    ports = [OTHER, SOCKS] if order == "dead_first" else [SOCKS, OTHER]
    with upstreams.microsocks(other, tmp_path):
        limpid = run.configured(intercept(), limits(connect_timeout="300ms"), office(family, ports))
        for _ in range(6):
            client, server = lab.session(family)
            assert endpoint(server.getpeername())[0] == family.other_server
            traffic.exchange(client, server)
            traffic.finish(client, server)
        assert {line["reason"] for line in limpid.sessions_logged(6)} == {"done"}


def test_connections_are_spread_over_the_addresses(lab, other, run, family):
    run.configured(intercept(), office(family, [SOCKS, OTHER], "fixed"))
    listeners = [lab.listener(family, other, port=port) for port in (SOCKS, OTHER)]
    for _ in range(16):
        lab.connect(family)
    counts = [0, 0]
    while sum(counts) < 16:
        readable, _, _ = select.select(listeners, [], [], PATIENCE)
        assert readable, f"{counts} of 16 have arrived"
        for listener in readable:
            lab.keep(listener.accept()[0])
            counts[listeners.index(listener)] += 1
    assert min(counts) >= 1, counts


# when_down


def test_when_down_reject_is_a_reset(lab, other, run, family):
    expect_failure(lab, run.configured(intercept(), office(family, when_down="reject")), family)


def test_when_down_drop_leaves_the_client_waiting(lab, other, run, family):
    limpid = run.configured(intercept(), office(family, when_down="drop"))
    lab.listener(family)
    with nothing_reaches(lab.server):
        assert is_left_waiting(lab, family, b"ping")
    (line,) = limpid.sessions_logged(1)
    assert line["upstream"] == "office" and line["reason"] in ("dropped", "upstream_failed")
    limpid.wait_sessions(0)


@pytest.mark.parametrize("kind", ["socks5", "http-connect", "fixed"])
def test_when_down_direct_goes_without_the_proxy_as_the_client(lab, other, run, family, kind):
    limpid = run.configured(intercept(), office(family, kind=kind, when_down="direct"))
    client, server = lab.session(family)
    assert endpoint(server.getpeername()) == endpoint(client.getsockname())
    traffic.exchange(client, server)
    traffic.finish(client, server)
    (line,) = limpid.sessions_logged(1)
    assert (line["rule"], line["reason"], line["source_kept"]) == ("all", "done", "port")


def test_enforce_leaves_alone_what_goes_direct_because_the_proxy_is_down(lab, other, run, family):
    limpid = run.configured(intercept(), office(family, when_down="direct"))
    client, server = lab.session(family)
    run.command("reload", "--enforce")
    traffic.exchange(client, server)
    traffic.finish(client, server)
    assert limpid.close_reason("done") == 1


def test_when_down_direct_is_not_for_a_proxy_that_refuses_us(lab, other, run, tmp_path, family):
    # A password that has changed must not take the proxy's users past it without a word: the proxy is not down.
    with upstreams.microsocks(other, tmp_path, username="limpid", password="right"):
        limpid = run.configured(intercept(), office(family, when_down="direct"))
        expect_failure(lab, limpid, family)


# Proxies played by hand.


def read_until(sock, end):
    data = b""
    while not data.endswith(end):
        data += traffic.receive_exactly(sock, 1)
    return data


def accept_socks(proxy, family):
    """The whole request for the server's port 8080, up to where the reply is due."""
    version, count = traffic.receive_exactly(proxy, 2)
    assert version == 5 and 0 in traffic.receive_exactly(proxy, count)
    proxy.sendall(b"\5\0")
    address = 4 if family.version == 4 else 16
    request = traffic.receive_exactly(proxy, 4 + address + 2)
    assert request[:4] == bytes([5, 1, 0, 1 if family.version == 4 else 4])
    assert request[-2:] == (8080).to_bytes(2, "big")
    return b"\5\0\0\1\0\0\0\0\0\0"


def accept_connect(proxy, family):
    request = read_until(proxy, b"\r\n\r\n")
    where = family.text(family.server, 8080)
    assert request.startswith(f"CONNECT {where} HTTP/1.1\r\n".encode())
    assert f"\r\nHost: {where}\r\n".lower().encode() in request.lower()
    return b"HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n"


BY_HAND = {"socks5": (accept_socks, SOCKS), "http-connect": (accept_connect, CONNECT)}


@pytest.fixture(params=BY_HAND)
def by_hand(request, lab, other, run, family):
    """What limpid is, a client, the proxy that it asked, and the reply that would be right."""
    accept, port = BY_HAND[request.param]
    limpid = run.configured(intercept(), limits(connect_timeout="500ms"), office(family, [port], request.param))
    lab.listener(family, other, port=port)
    client = lab.connect(family)
    proxy = lab.accept(family, other, port=port)
    return limpid, client, proxy, accept(proxy, family)


def test_what_comes_right_behind_the_reply_is_the_clients(by_hand):
    _, client, proxy, reply = by_hand
    proxy.sendall(reply + BANNER)
    assert traffic.receive_exactly(client, len(BANNER)) == BANNER
    traffic.exchange(client, proxy)


def test_a_reply_may_come_byte_by_byte(by_hand):
    _, client, proxy, reply = by_hand
    for value in reply:
        proxy.sendall(bytes([value]))
    traffic.exchange(client, proxy)


def test_the_client_is_not_heard_before_the_reply(by_hand):
    _, client, proxy, reply = by_hand
    client.sendall(b"early")
    proxy.sendall(reply)
    assert traffic.receive_exactly(proxy, 5) == b"early"
    traffic.exchange(client, proxy)


def expect_given_up(limpid, client, reason="upstream_failed"):
    with pytest.raises(ConnectionResetError):
        traffic.receive_all(client)
    (line,) = limpid.sessions_logged(1)
    assert (line["reason"], line["upstream"]) == (reason, "office")


@pytest.mark.parametrize("size", [0, 1, -1], ids=["nothing", "a_byte", "all_but_a_byte"])
@pytest.mark.parametrize("then", ["silence", "end", "reset"])
def test_a_reply_that_is_not_finished(by_hand, size, then):
    limpid, client, proxy, reply = by_hand
    proxy.sendall(reply[:size])
    if then != "silence":
        (proxy if then == "end" else reset_on_close(proxy)).close()
    expect_given_up(limpid, client)


@pytest.mark.parametrize(
    "garbage",
    [bytes(4096), b"\xff" * 4096, b"HTTP/1.1 " * 500, b"\xfe" + os.urandom(4095)],
    ids=["zeros", "ones", "http", "noise"],
)
def test_a_reply_of_garbage(by_hand, garbage):
    limpid, client, proxy, _ = by_hand
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        proxy.sendall(garbage)
    expect_given_up(limpid, client)


@pytest.mark.parametrize("by_hand", ["http-connect"], indirect=True)
@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required", "upstream_failed"),
        (b"HTTP/1.1 502 Bad Gateway", "connect_unreachable"),
    ],
)
def test_a_refusal_over_http(by_hand, line, reason):
    limpid, client, proxy, _ = by_hand
    proxy.sendall(line + b"\r\nContent-Length: 6\r\n\r\nsorry\n")
    expect_given_up(limpid, client, reason)


@pytest.mark.parametrize("by_hand", ["http-connect"], indirect=True)
def test_headers_without_end_are_given_up(by_hand):
    limpid, client, proxy, _ = by_hand
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        proxy.sendall(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200_000)
    expect_given_up(limpid, client)


@pytest.mark.parametrize("by_hand", ["socks5"], indirect=True)
@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 7, 8, 255])
def test_a_refusal_over_socks5(by_hand, code):
    limpid, client, proxy, _ = by_hand
    proxy.sendall(bytes([5, code, 0, 1]) + bytes(6))
    with pytest.raises(ConnectionResetError):
        traffic.receive_all(client)
    assert limpid.sessions_logged(1)[0]["reason"] in ("upstream_failed", "connect_refused", "connect_unreachable")
