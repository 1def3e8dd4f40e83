# SPDX-License-Identifier: MIT
# Listeners that are told of their clients (accept = "proxy-protocol"): the servers behind see the client's own address
# and port, on another host and on this one.
import fcntl
import os
import socket
import struct
import termios

import pytest
from support import balancers, traffic, upstreams
from support.deadline import eventually, stays_silent
from support.lab import endpoint
from support.limpid import SANITIZED
from support.outcomes import exchange_streams
from support.settings import intercept, listener, rule, upstream

IN = 9000  # limpid's port
MIB = 1 << 20
WHO = ("198.51.100.77", "2001:db8:51::77")  # behind lan0, as far as the gateway's routes go
PORT = 43210


def told(family):
    """A client that the header may tell of, which nobody in the lab is."""
    return (WHO[0] if family.version == 4 else WHO[1], PORT)


@pytest.fixture(autouse=True)
def route_to_clients(lab):
    """A way to them, as a gateway to the Internet has one."""
    lab.gateway.ip("route add 198.51.100.0/24 via 10.1.0.2\nroute add 2001:db8:51::/64 via fd00:1::2")


def listening(family, lab, action="web", trusted=None, **keys):
    at = [family.text("0.0.0.0" if family.version == 4 else "::", IN)]
    return listener(name="lb", listen=at, accept="proxy-protocol", trusted=trusted or [family.client, family.other_server],
                    action=action, **keys)  # fmt: skip


def web(*addresses, **keys):
    return upstream(**{"name": "web", "type": "fixed", "address": list(addresses), "source": "client", **keys})


@pytest.fixture(params=["v1", "v2"])
def header(request):
    return balancers.HEADERS[request.param]


@pytest.fixture(params=["another host", "loopback", "own address"], ids=lambda where: where.replace(" ", "_"))
def place(request, lab, family):
    """Where the server is: its address, and what accepts there."""

    class Place:
        if request.param == "another host":
            address, namespace = family.server, lab.server
        elif request.param == "loopback":
            address, namespace = family.loopback, lab.gateway
        else:
            address, namespace = family.gateway_wan, lab.gateway
        endpoint = family.text(address, 8080)

        def listen(self):
            return lab.listener(family, self.namespace, self.address)

        def accept(self):
            return lab.keep(self.listen().accept()[0])

    where = Place()
    where.listen()
    return where


def say(lab, family, *pieces, namespace=None):
    """A connection to limpid's listener that says this."""
    client = lab.connect(family, family.gateway_lan, IN, namespace=namespace)
    for piece in pieces:
        client.sendall(piece)
    return client


def is_reset(client):
    try:
        traffic.receive_all(client)
    except ConnectionResetError:
        return True
    return False


def test_a_server_sees_the_client_that_the_header_tells_of(lab, run, family, place, header):
    limpid = run.configured(listening(family, lab), web(place.endpoint))
    client = say(lab, family, header(family, told(family), (family.server, 443)))
    server = place.accept()
    assert endpoint(server.getpeername()) == told(family)
    assert endpoint(server.getsockname()) == (place.address, 8080)
    traffic.exchange(client, server)
    exchange_streams(client, server)
    traffic.finish(client, server)
    (line,) = limpid.sessions_logged(1)
    assert (line["client"], line["destination"]) == (family.text(*told(family)), family.text(family.server, 443))
    assert (line["upstream"], line["source_kept"], line["reason"]) == ("web", "port", "done")
    assert (line["bytes_up"], line["bytes_down"]) == (MIB + 4, MIB + 4)  # the header is none of them


def test_a_local_server_goes_on_serving_its_own_clients(lab, run, family):
    lab.listener(family, lab.gateway, family.gateway_lan)
    run.configured(listening(family, lab), web(family.text(family.gateway_lan, 8080)))
    for _ in range(3):
        balancer = say(lab, family, balancers.header_v1(family, told(family), (family.server, 443)), b"ping")
        server = lab.keep(lab.listener(family, lab.gateway, family.gateway_lan).accept()[0])
        assert endpoint(server.getpeername()) == told(family)
        assert traffic.receive_exactly(server, 4) == b"ping"
        server.sendall(b"pong")
        client = lab.connect(family, family.gateway_lan)
        direct = lab.keep(lab.listener(family, lab.gateway, family.gateway_lan).accept()[0])
        assert endpoint(direct.getpeername()) == endpoint(client.getsockname())
        traffic.exchange(client, direct)
        traffic.finish(client, direct)
        assert traffic.receive_exactly(balancer, 4) == b"pong"
        traffic.finish(balancer, server)


def test_the_strictest_reverse_path_filter_is_no_hindrance(lab, run, family, place):
    for name in "all", "default", "lo", "lan0", "wan0":
        lab.gateway.sysctl(f"ipv4.conf.{name}.rp_filter", 1)
    run.configured(listening(family, lab), web(place.endpoint))
    client = say(lab, family, balancers.header_v1(family, (family.client, PORT), (family.server, 443)))
    server = place.accept()
    assert endpoint(server.getpeername()) == (family.client, PORT)
    traffic.exchange(client, server)


def test_half_closed_connections_stay_so(lab, run, family, place):
    run.configured(listening(family, lab), web(place.endpoint))
    client = say(lab, family, balancers.header_v2(family, told(family), (family.server, 443)))
    server = place.accept()
    client.shutdown(socket.SHUT_WR)
    assert server.recv(1) == b""
    sending = traffic.Background(traffic.send_stream, server, MIB)
    assert traffic.receive_stream(client) == sending.result()


def test_a_client_may_use_its_port_again(lab, run, family, place):
    run.configured(listening(family, lab), web(place.endpoint))
    for _ in range(3):
        client = say(lab, family, balancers.header_v2(family, told(family), (family.server, 443)))
        server = place.accept()
        assert endpoint(server.getpeername()) == told(family)
        traffic.exchange(client, server)
        traffic.finish(client, server)


# What comes in.


def test_a_header_may_come_byte_by_byte(lab, run, family, header):
    run.configured(listening(family, lab), web(family.text(family.server, 8080)))
    text = header(family, told(family), (family.server, 443)) + b"hello"
    lab.listener(family)
    client = lab.connect(family, family.gateway_lan, IN)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for at in range(len(text)):
        client.sendall(text[at : at + 1])
        eventually(lambda: _has_arrived(client), what="every byte's arrival")
    server = lab.accept(family)
    assert endpoint(server.getpeername()) == told(family)
    assert traffic.receive_exactly(server, 5) == b"hello"
    traffic.exchange(client, server)


def _has_arrived(client):
    """Whether the other end has acknowledged all that was sent."""
    waiting = fcntl.ioctl(client.fileno(), termios.TIOCOUTQ, struct.pack("i", 0))
    return struct.unpack("i", waiting) == (0,)


def test_a_header_and_the_stream_may_come_as_one(lab, run, family, header):
    run.configured(listening(family, lab), web(family.text(family.server, 8080)))
    lab.listener(family)
    client = say(lab, family, header(family, told(family), (family.server, 443)) + b"x" * 10_000)
    assert traffic.receive_exactly(lab.accept(family), 10_000) == b"x" * 10_000
    assert not is_reset_soon(client)


def is_reset_soon(client):
    return not stays_silent([client], 0.1)


@pytest.mark.parametrize("kind", ["LOCAL_V2", "UNKNOWN_V1"])
def test_the_balancers_own_connections_count_as_its_own(lab, run, family, kind):
    limpid = run.configured(listening(family, lab), web(family.text(family.server, 8080)))
    lab.listener(family)
    client = say(lab, family, getattr(balancers, kind))
    server = lab.accept(family)
    assert endpoint(server.getpeername()) == endpoint(client.getsockname())
    traffic.exchange(client, server)
    traffic.finish(client, server)
    (line,) = limpid.sessions_logged(1)
    assert line["destination"] == family.text(family.gateway_lan, IN)


def bad_headers(family):
    good = balancers.header_v2(family, told(family), (family.server, 443))
    nobody = ("0.0.0.0" if family.version == 4 else "::", PORT)
    return {
        "garbage": b"GET / HTTP/1.1\r\n\r\n",
        "a line without an end": b"PROXY TCP4 " + b"1" * 200,
        "an unknown family": b"PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n",
        "a wrong signature": b"\r\n\r\n\0\r\nQUIZ\n" + good[12:],
        "a length beyond the limit": good[:14] + struct.pack("!H", 0xFFFF) + good[16:],
        "a client that is nobody": balancers.header_v2(family, nobody, (family.server, 443)),
        "a port of nobody": balancers.header_v1(family, (told(family)[0], 0), (family.server, 443)),
        "a destination that is everybody": balancers.header_v2(family, told(family), nobody),
    }


def test_a_bad_header_ends_the_connection(lab, run, family):
    limpid = run.configured(listening(family, lab), web(family.text(family.server, 8080)))
    bad = bad_headers(family)
    for count, (name, text) in enumerate(bad.items(), 1):
        assert is_reset(say(lab, family, text)), name
        limpid.sessions_logged(count)
    assert limpid.close_reason("bad_proxy_header") == len(bad)
    assert {line["reason"] for line in limpid.access_log()} == {"bad_proxy_header"}
    assert limpid.status()["sessions"] == 0


def test_a_header_that_ends_too_soon_ends_the_connection(lab, run, family):
    limpid = run.configured(listening(family, lab), web(family.text(family.server, 8080)))
    client = say(lab, family, b"PROXY TCP")
    client.shutdown(socket.SHUT_WR)
    assert is_reset(client)
    assert limpid.close_reason("bad_proxy_header") == 1


def test_who_drips_or_says_nothing_is_not_waited_for(lab, run, family):
    limpid = run.configured(listening(family, lab), web(family.text(family.server, 8080)))
    clients = [say(lab, family, *pieces) for pieces in ((), (b"PROXY",))]
    for client in clients:
        client.settimeout(6 if SANITIZED else 4)
        assert is_reset(client)
    assert limpid.close_reason("bad_proxy_header") == 2


def test_who_is_not_trusted_is_reset_before_a_byte_is_read(lab, run, family):
    limpid = run.configured(listening(family, lab, trusted=[family.other_server]), web(family.text(family.server, 8080)))
    with pytest.raises(ConnectionResetError):
        lab.connect(family, family.gateway_lan, IN, source_port=PORT).recv(1)
    (line,) = limpid.sessions_logged(1)
    assert (line["reason"], line["client"]) == ("untrusted", family.text(family.client, PORT))
    assert limpid.close_reason("untrusted") == 1


# By the rules.


def test_by_the_rules_a_connection_goes_where_the_header_says(lab, run, family, header):
    run.configured(listening(family, lab, action="rules"))
    lab.listener(family)
    client = say(lab, family, header(family, told(family), (family.server, 8080)))
    server = lab.accept(family)
    assert endpoint(server.getpeername()) == told(family)
    traffic.exchange(client, server)
    traffic.finish(client, server)


def test_rules_see_the_client_the_destination_and_the_first_bytes(lab, run, family):
    limpid = run.configured(
        listening(family, lab, action="rules"),
        rule(name="him", from_=[told(family)[0]], host=["no.example"], action="reject"),
    )
    lab.listener(family)
    text = balancers.header_v1(family, told(family), (family.server, 8080))
    assert is_reset(say(lab, family, text, b"GET / HTTP/1.1\r\nHost: no.example\r\n\r\n"))
    client = say(lab, family, text, b"GET / HTTP/1.1\r\nHost: yes.example\r\n\r\n")
    server = lab.accept(family)
    assert traffic.receive_exactly(server, 14) == b"GET / HTTP/1.1"
    server.close()
    assert is_reset(client)
    refused = [line for line in limpid.sessions_logged(2) if line["rule"] == "him"]
    assert [(line["host"], line["reason"]) for line in refused] == [("no.example", "rejected")]


def test_a_destination_on_this_machine_would_come_back_and_is_refused(lab, run, family):
    limpid = run.configured(listening(family, lab, action="rules"))
    for address in family.loopback, family.gateway_lan, family.gateway_wan:
        assert is_reset(say(lab, family, balancers.header_v1(family, told(family), (address, IN))))
    assert limpid.close_reason("loop") == 3


# With real balancers and servers.


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_haproxy_in_front(lab, run, tmp_path, family, version):
    other = lab.add_other_server()
    run.configured(listening(family, lab), web(family.text(family.server, 8080)))
    lab.listener(family)
    backend = family.text("10.3.0.1" if family.version == 4 else "fd00:3::1", IN)
    with balancers.haproxy(other, tmp_path, backend, version):
        client = lab.connect(family, family.other_server, balancers.FRONT)
        server = _accept_from(lab, lab.listener(family), endpoint(client.getsockname()))
        traffic.exchange(client, server)
        exchange_streams(client, server)
        traffic.finish(client, server)


def _accept_from(lab, accepting, who):
    """The next connection of his; those between are health checks, and may be over."""
    while True:
        server, name = accepting.accept()
        if endpoint(name) == who:
            return lab.keep(server)
        server.close()


def test_what_the_header_tells_is_told_on(lab, run, tmp_path, family, header):
    with upstreams.nginx_that_is_told(lab.server, tmp_path):
        server = family.text(family.server, upstreams.TOLD)
        run.configured(listening(family, lab), web(server, source="self", proxy_protocol="v2"))
        client = say(lab, family, header(family, told(family), (family.server, 443)))
        client.sendall(b"GET / HTTP/1.1\r\nHost: any.example\r\nConnection: close\r\n\r\n")
        answer = traffic.receive_all(client).decode()
        assert answer.endswith("\r\n\r\n" + upstreams.told(told(family), (family.server, 443))), answer


def test_haproxy_on_this_machine_and_the_server_too(lab, run, tmp_path, family):
    lab.listener(family, lab.gateway, family.loopback)
    run.configured(listening(family, lab, trusted=[family.loopback]), web(family.text(family.loopback, 8080)))
    with balancers.haproxy(lab.gateway, tmp_path, family.text(family.loopback, IN)):
        client = lab.connect(family, family.gateway_lan, balancers.FRONT)
        accepting = lab.listener(family, lab.gateway, family.loopback)
        server = _accept_from(lab, accepting, endpoint(client.getsockname()))
        traffic.exchange(client, server)
        traffic.finish(client, server)


# The kernel's state.


def test_only_what_the_answers_need_is_installed(lab, run, family):
    run.configured(listening(family, lab), web(family.text(family.loopback, 8080)))
    rules = lab.gateway.nft("list table inet limpid")
    assert "hook output" not in rules and "take_tcp" not in rules and "clients" not in rules.replace("chain clients", "")
    assert f"from {family.loopback} iif lo ipproto tcp sport 8080" in lab.gateway.ip(f"-{family.version} rule show")
    client, server = lab.session(family)  # past limpid
    traffic.exchange(client, server)
    assert not lab.is_intercepted(client)


@pytest.mark.parametrize("roles", [("supervisor",), ("supervisor", "worker"), ("worker",)], ids="+".join)
def test_nothing_is_left_behind_however_it_dies(lab, run, family, place, roles):
    limpid = run.configured(listening(family, lab), web(place.endpoint))
    client = say(lab, family, balancers.header_v1(family, told(family), (family.server, 443)))
    server = place.accept()
    traffic.exchange(client, server)
    pids = limpid.kill(*roles)
    assert is_reset(client)
    with pytest.raises(ConnectionResetError):
        server.recv(1)
    if "supervisor" in roles:
        eventually(lambda: limpid.processes_are_gone(pids), what="the end of all processes")
        eventually(lambda: not lab.state_difference(), what="the gateway as it was")
        os.unlink(run.control)
        return
    limpid.wait_replaced("worker", pids["worker"])
    client = say(lab, family, balancers.header_v1(family, told(family), (family.server, 443)))
    traffic.exchange(client, place.accept())


def test_interception_and_a_listener_go_together(lab, run, family, place):
    limpid = run.configured(intercept(local=True), listening(family, lab), web(place.endpoint))
    client, server = lab.session(family, port=8081)
    traffic.exchange(client, server)
    assert lab.is_intercepted(client)
    told_client = say(lab, family, balancers.header_v2(family, told(family), (family.server, 443)))
    told_server = place.accept()
    assert endpoint(told_server.getpeername()) == told(family)
    traffic.exchange(told_client, told_server)
    assert limpid.status()["sessions"] == 2
