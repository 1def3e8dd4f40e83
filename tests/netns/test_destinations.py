# SPDX-License-Identifier: MIT
# Destinations that do not answer, or stop answering: the client is told, and the access log says why.
import socket

import pytest
from support import traffic
from support.deadline import stays_silent
from support.sniffer import Sniffer


def expect_reset(lab, family, **options):
    with pytest.raises(ConnectionResetError):
        traffic.receive_all(lab.connect(family, **options))


def refuse(lab, words):
    lab.server.nft(
        f"table inet refusing {{ chain in {{ type filter hook input priority 0; tcp dport 8080 {words}; }}; }}"
    )


def test_a_refused_connection_is_reset(lab, limpid, family):
    expect_reset(lab, family)
    (line,) = limpid.sessions_logged(1)
    assert line["reason"] == "connect_refused"
    assert limpid.close_reason("connect_refused") == 1


def test_a_filtered_destination_times_out(lab, run, family):
    limpid = run("--connect-timeout", "300ms")
    refuse(lab, "drop")
    expect_reset(lab, family)
    (line,) = limpid.sessions_logged(1)
    assert line["reason"] == "connect_timeout"


def test_an_icmp_error_that_is_addressed_to_the_client_reaches_us(lab, limpid, family):
    refuse(lab, "reject with icmpx type host-unreachable")
    expect_reset(lab, family)
    (line,) = limpid.sessions_logged(1)
    assert line["reason"] == "connect_unreachable"


def test_a_destination_without_a_route_is_unreachable(lab, run, family):
    lab.gateway.ip(f"route add unreachable {family.documentation}")
    limpid = run()
    expect_reset(lab, family, address=family.documentation.partition("/")[0].removesuffix("0") + "1")
    (line,) = limpid.sessions_logged(1)
    assert line["reason"] == "connect_unreachable"


def test_a_client_that_gives_up_while_we_connect_is_noticed(lab, limpid, family):
    refuse(lab, "drop")
    client = lab.connect(family)
    limpid.wait_sessions(1)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    limpid.wait_sessions(0)
    assert limpid.sessions_logged(1)[0]["reason"] == "client_reset"


def test_icmp_errors_that_are_not_ours_pass_to_the_client(lab, limpid, family):
    # A UDP client of an unused port: nobody's session here, the error is the client's own.
    client = lab.keep(lab.client.socket(family.af, socket.SOCK_DGRAM))
    client.connect((family.server, 9))
    client.send(b"?")
    with pytest.raises(ConnectionRefusedError):
        client.recv(1)


def test_icmp_errors_of_direct_connections_pass_to_the_client(lab, limpid, family):
    lab.server.nft(
        """table inet refusing { chain in { type filter hook input priority 0;
        tcp dport 8081 reject with icmpx type admin-prohibited; }; }"""
    )
    with Sniffer(lab.client, "eth0"), pytest.raises(OSError) as refused:
        lab.connect(family, port=8081)
    assert not isinstance(refused.value, TimeoutError)


def test_an_idle_session_is_closed_after_its_time(lab, run, family):
    limpid = run("--idle-timeout", "400ms")
    client, server = lab.session(family)
    for _ in range(3):
        assert stays_silent([client, server], 0.2)
        traffic.exchange(client, server)  # the last byte either way counts
    for end in client, server:
        with pytest.raises(ConnectionResetError):
            end.recv(1)
    (line,) = limpid.sessions_logged(1)
    assert line["reason"] == "idle_timeout"
    assert 0.9 < line["duration"] < 3


def test_a_half_closed_session_is_closed_after_its_time(lab, run, family):
    limpid = run("--half-closed-timeout", "400ms")
    client, server = lab.session(family)
    client.shutdown(socket.SHUT_WR)
    assert server.recv(1) == b""
    for _ in range(3):
        assert stays_silent([client], 0.2)
        server.sendall(b"still")
        assert traffic.receive_exactly(client, 5) == b"still"
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    assert limpid.sessions_logged(1)[0]["reason"] == "half_closed_timeout"


def test_a_server_that_vanishes_does_not_hold_the_client_for_ever(lab, run, family):
    limpid = run("--idle-timeout", "500ms")
    client, server = lab.session(family)
    traffic.exchange(client, server)
    lab.server.nft(
        """table inet gone { chain in { type filter hook input priority 0; tcp dport 8080 drop; };
        chain out { type filter hook output priority 0; tcp sport 8080 drop; }; }"""
    )
    client.sendall(b"into nothing")
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    limpid.wait_sessions(0)


def test_a_link_on_the_way_that_is_too_small_for_our_packets_is_noticed(lab, run, family):
    # "Packet too big" comes back addressed to the client: without it the upload hangs at the first full segment.
    far = lab.add_server_beyond_a_small_link(mtu=1280)
    run()
    lab.listener(family, far)
    client = lab.connect(family, family.other_server)
    server = lab.accept(family, far)
    sending = traffic.Background(traffic.send_stream, client, 1 << 20)
    assert traffic.receive_stream(server) == sending.result()
    assert lab.is_intercepted(client)
