# SPDX-License-Identifier: MIT
# Neither end can tell: who the server sees, whom the client sees, which packets are ours to take.
import socket
import time

import pytest
from support import traffic
from support.deadline import eventually
from support.lab import endpoint
from support.sniffer import Sniffer


def test_the_server_sees_the_exact_address_and_port_of_the_client(lab, limpid, family):
    client, server = lab.session(family)
    assert lab.is_intercepted(client)
    assert endpoint(server.getpeername()) == endpoint(client.getsockname())
    assert endpoint(server.getsockname()) == (family.server, 8080)
    traffic.exchange(client, server)
    assert limpid.counter("source_port_kept") == 1


def test_the_client_sees_nobody_but_its_destination_on_the_wire(lab, limpid, family):
    with Sniffer(lab.client, "eth0") as sniffer:
        client, server = lab.session(family, address=family.server_alias)
        traffic.exchange(client, server)
        traffic.finish(client, server)
        seen = []
        eventually(lambda: seen.extend(sniffer.segments()) or len(seen) >= 9, what="a whole connection on the wire")
    assert {segment[0] for segment in seen} == {family.client, family.server_alias}
    assert {segment[1] for segment in seen} == {seen[0][1], 8080}


def test_the_server_is_reached_at_the_address_the_client_chose(lab, limpid, family):
    for address in family.server, family.server_alias:
        _, server = lab.session(family, address=address)
        assert endpoint(server.getsockname())[0] == address


def test_a_source_port_below_1024_is_kept_too(lab, limpid, family):
    client, server = lab.session(family, source_port=500)
    assert endpoint(server.getpeername()) == (family.client, 500)
    traffic.exchange(client, server)


def test_one_client_port_reaches_two_destinations_at_once(lab, limpid, family):
    first, first_server = lab.session(family, source_port=40000)
    second, second_server = lab.session(family, address=family.server_alias, source_port=40000)
    for server in first_server, second_server:
        assert endpoint(server.getpeername()) == (family.client, 40000)
    traffic.exchange(first, first_server, b"to the first", b"from the first")
    traffic.exchange(second, second_server, b"to the second", b"from the second")
    assert limpid.counter("source_port_kept") == 2


@pytest.mark.parametrize("first_to_close", ["client", "server"])
def test_a_client_port_is_used_again_at_once_while_we_are_in_time_wait(lab, limpid, family, first_to_close):
    # The client's own TIME_WAIT must not be what stalls: it keeps none.
    lab.client.sysctl("ipv4.tcp_max_tw_buckets", 0)
    lab.server.sysctl("ipv4.tcp_max_tw_buckets", 0)
    for _ in range(5):
        started = time.monotonic()
        client, server = lab.session(family, source_port=40000)
        traffic.exchange(client, server)
        assert endpoint(server.getpeername()) == (family.client, 40000)
        # A SYN answered by a TIME_WAIT socket's ACK is sent again after 1 s.
        assert time.monotonic() - started < 0.5
        traffic.finish(client, server) if first_to_close == "client" else traffic.finish(server, client)
        eventually(lambda: "TIME-WAIT" in lab.gateway.run("ss", "-Hnta").stdout, what="TIME_WAIT on the gateway")


def test_with_source_address_the_server_sees_the_address(lab, run, family):
    limpid = run("--source", "address")
    client, server = lab.session(family)
    assert endpoint(server.getpeername())[0] == family.client
    traffic.exchange(client, server)
    traffic.finish(client, server)
    assert limpid.sessions_logged(1)[0]["source_kept"] == "address"


def test_with_source_self_the_server_sees_the_gateway(lab, run, family):
    limpid = run("--source", "self")
    client, server = lab.session(family)
    assert endpoint(server.getpeername())[0] == family.gateway_wan
    traffic.exchange(client, server)
    traffic.finish(client, server)
    assert limpid.sessions_logged(1)[0]["source_kept"] == "no"


def occupy(lab, family, port):
    """Somebody on the gateway holds the client's address and port, and does not share."""
    holder = lab.keep(lab.gateway.socket(family.af))
    level, option = (socket.SOL_IP, 15) if family.version == 4 else (socket.IPPROTO_IPV6, 78)  # IP_FREEBIND, IPV6_
    holder.setsockopt(level, option, 1)
    holder.bind((family.client, port))


def test_a_client_port_that_is_taken_falls_back_to_another_port(lab, limpid, family):
    occupy(lab, family, 40000)
    client, server = lab.session(family, source_port=40000)
    address, port = endpoint(server.getpeername())
    assert address == family.client and port != 40000
    traffic.exchange(client, server)
    traffic.finish(client, server)
    assert limpid.sessions_logged(1)[0]["source_kept"] == "address"
    assert limpid.counter("source_address_kept") == 1


def test_a_client_port_that_is_taken_is_refused_when_the_port_is_required(lab, run, family):
    limpid = run("--keep-port", "require")
    occupy(lab, family, 40000)
    lab.listener(family)
    with pytest.raises(ConnectionResetError):
        traffic.receive_all(lab.connect(family, source_port=40000))
    assert limpid.sessions_logged(1)[0]["reason"] == "source_unavailable"
    client, server = lab.session(family, source_port=40001)
    traffic.exchange(client, server)
