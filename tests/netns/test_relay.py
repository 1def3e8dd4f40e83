# SPDX-License-Identifier: MIT
# The bytes: all of them, in order, both ways, up to the end that the sender chose.
import os
import socket

import pytest
from support import processes, traffic
from support.families import IPV4
from support.lab import reset_on_close
from support.limpid import SANITIZED

SIZE = int(os.environ.get("LIMPID_TEST_BYTES", 1 << 30))
MIB = 1 << 20


def test_a_large_stream_each_way_at_once_arrives_as_it_was_sent(lab, limpid, family):
    client, server = lab.session(family)
    calls = [
        traffic.Background(traffic.send_stream, client, SIZE),
        traffic.Background(traffic.send_stream, server, SIZE),
        traffic.Background(traffic.receive_stream, client),
        traffic.Background(traffic.receive_stream, server),
    ]
    up, down, client_received, server_received = (call.result() for call in calls)
    assert server_received == up and up.size == SIZE
    assert client_received == down and down.size == SIZE
    (line,) = limpid.sessions_logged(1)
    assert (line["bytes_up"], line["bytes_down"], line["reason"]) == (SIZE, SIZE, "done")


@pytest.mark.parametrize("first", ["client", "server"])
def test_after_a_fin_the_other_way_still_carries_a_mebibyte(lab, limpid, family, first):
    ends = lab.session(family)
    finished, other = ends if first == "client" else ends[::-1]
    finished.sendall(b"that is all")
    finished.shutdown(socket.SHUT_WR)
    assert traffic.receive_all(other) == b"that is all"
    sending = traffic.Background(traffic.send_stream, other, MIB)
    assert traffic.receive_stream(finished) == sending.result()
    assert limpid.sessions_logged(1)[0]["reason"] == "done"


@pytest.mark.parametrize(("first", "reason"), [("client", "client_reset"), ("server", "upstream_reset")])
@pytest.mark.parametrize("moment", ["idle", "half_closed", "bulk"])
def test_a_reset_is_passed_on_as_a_reset(lab, limpid, family, first, reason, moment):
    ends = lab.session(family)
    resetting, other = ends if first == "client" else ends[::-1]
    traffic.exchange(*ends)
    if moment == "half_closed":
        other.shutdown(socket.SHUT_WR)
        assert resetting.recv(1) == b""
    if moment == "bulk":
        resetting.sendall(bytes(MIB))
        assert traffic.receive_exactly(other, MIB)
    reset_on_close(resetting).close()
    with pytest.raises(ConnectionResetError):
        traffic.receive_all(other)
    assert limpid.sessions_logged(1)[0]["reason"] == reason


@pytest.mark.parametrize("slow", ["client", "server"])
def test_a_slow_reader_holds_the_sender_back_and_our_memory_down(lab, limpid, family, slow):
    ends = lab.session(family)
    reader, writer = ends if slow == "client" else ends[::-1]
    traffic.exchange(*ends)
    worker = limpid.pids()["worker"]
    before = processes.resident_bytes(worker)
    sent = traffic.fill(writer)
    assert sent.size < 64 * MIB  # two sockets' buffers on each of two ways, and a pipe
    assert SANITIZED or processes.resident_bytes(worker) - before < 2 * MIB
    writer.shutdown(socket.SHUT_WR)
    assert traffic.receive_stream(reader) == sent


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("around", [3, 8 * MIB], ids=["a_few_bytes", "a_large_stream"])
def test_an_urgent_byte_keeps_its_place_in_the_stream(lab, limpid, family, direction, around):
    ends = lab.session(family)
    sender, receiver = ends if direction == "up" else ends[::-1]
    # The pointer may be carried by nobody; a receiver that is told of one must still find the byte in the stream.
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    before, after = os.urandom(around), os.urandom(around)

    def send():
        sender.sendall(before)
        sender.send(b"!", socket.MSG_OOB)
        sender.sendall(after)
        sender.shutdown(socket.SHUT_WR)

    sending = traffic.Background(send)
    received = traffic.receive_all(receiver)
    sending.result()
    assert len(received) == 2 * around + 1
    assert received == before + b"!" + after


def test_urgent_bytes_one_after_the_other_all_arrive(lab, limpid, family):
    client, server = lab.session(family)
    for sender, receiver in (client, server), (server, client):
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
        for value in range(50):
            sender.send(bytes([value]), socket.MSG_OOB)
        assert traffic.receive_exactly(receiver, 50) == bytes(range(50))
    traffic.exchange(client, server)


def test_data_and_fin_right_after_the_handshake_arrive_whole(lab, limpid, family):
    lab.listener(family)
    for _ in range(20):
        client = lab.connect(family)
        client.sendall(b"request")
        client.shutdown(socket.SHUT_WR)
        server = lab.accept(family)
        assert traffic.receive_all(server) == b"request"
        server.sendall(b"answer")
        server.close()
        assert traffic.receive_all(client) == b"answer"


def test_a_server_that_speaks_first_is_heard(lab, limpid, family):
    client, server = lab.session(family)
    server.sendall(b"220 ready\r\n")
    assert traffic.receive_exactly(client, 11) == b"220 ready\r\n"


def test_a_session_without_a_byte_ends_in_order(lab, limpid, family):
    traffic.finish(*lab.session(family))
    (line,) = limpid.sessions_logged(1)
    assert (line["bytes_up"], line["bytes_down"], line["reason"]) == (0, 0, "done")


def test_many_small_exchanges_on_one_connection_do_not_stall(lab, limpid):
    client, server = lab.session(IPV4)
    for sock in client, server:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(0.5)  # a delayed ACK is 40 ms and more, a retransmission 200 ms
    for number in range(5000):
        message = number.to_bytes(4, "big")
        traffic.exchange(client, server, message, message)


def test_a_session_changes_between_bulk_and_small_exchanges(lab, limpid, family):
    client, server = lab.session(family)
    for size in 1, 4 * MIB, 10, 64 * 1024, MIB + 1:
        for sender, receiver in (client, server), (server, client):
            sending = traffic.Background(traffic.send_stream, sender, size, False)
            assert traffic.receive_stream(receiver, size) == sending.result()
        traffic.exchange(client, server)


def test_two_hundred_bulk_sessions_at_once_arrive_whole(lab, limpid, family):
    # Far more than there are large pipes, and more than the 64 that the kernel lets an ordinary user have (1 MiB each).
    size = max(1, SIZE // (1 << 30) * 4) * MIB
    sessions = [lab.session(family) for _ in range(200)]
    sums = []
    for client, server in sessions:
        for sock in client, server:
            sock.settimeout(60)
        sums.append(
            (traffic.Background(traffic.send_stream, server, size), traffic.Background(traffic.receive_stream, client))
        )
    for sending, receiving in sums:
        assert receiving.result() == sending.result()
