# SPDX-License-Identifier: MIT
# Bytes through a connection: whole streams with checksums, exact amounts, ends and resets.
import os
import socket
import struct
import threading
import zlib

# One checksum of a stream is a crc32: it runs at several GB/s without Python's lock. The block's length is odd, so that
# a piece lost or moved at any power of two changes the sum.
_BLOCK = os.urandom(4 * 1024 * 1024 + 4093)


class Checksum:
    def __init__(self):
        self.size = 0
        self.crc = 0

    def add(self, data):
        self.size += len(data)
        self.crc = zlib.crc32(data, self.crc)

    def __eq__(self, other):
        return (self.size, self.crc) == (other.size, other.crc)

    def __repr__(self):
        return f"{self.size} bytes, crc32 {self.crc:08x}"


def send_stream(sock, size, finish=True):
    """Sends `size` bytes, then (finish) FIN. Returns their checksum."""
    sent = Checksum()
    block = memoryview(_BLOCK)
    while sent.size < size:
        piece = block[: min(size - sent.size, len(block))]
        sock.sendall(piece)
        sent.add(piece)
    if finish:
        sock.shutdown(socket.SHUT_WR)
    return sent


def receive_stream(sock, size=None):
    """Receives up to the end of the stream, or `size` bytes if given. Returns their checksum."""
    received = Checksum()
    room = memoryview(bytearray(1024 * 1024))
    while size is None or received.size < size:
        count = sock.recv_into(room if size is None else room[: min(len(room), size - received.size)])
        if count == 0:
            break
        received.add(room[:count])
    return received


def receive_exactly(sock, size):
    data = bytearray()
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise EOFError(f"the stream ended after {len(data)} of {size} bytes")
        data += piece
    return bytes(data)


def receive_all(sock):
    """Everything up to a FIN. An RST raises ConnectionResetError."""
    pieces = []
    while piece := sock.recv(1 << 16):
        pieces.append(piece)
    return b"".join(pieces)


def exchange(client, server, message=b"ping", answer=b"pong"):
    """One message each way: the connection works, from end to end."""
    client.sendall(message)
    assert receive_exactly(server, len(message)) == message
    server.sendall(answer)
    assert receive_exactly(client, len(answer)) == answer


def finish(client, server):
    """An orderly end of a connection, the client's FIN first."""
    client.shutdown(socket.SHUT_WR)
    assert server.recv(1) == b""
    server.close()
    assert client.recv(1) == b""
    client.close()


def fill(sock):
    """Sends until the path takes no more for a quarter of a second. Returns the checksum of what it took."""
    sent = Checksum()
    block = memoryview(_BLOCK)
    sock.settimeout(0.25)
    try:
        while True:
            offset = sent.size % len(block)
            count = sock.send(block[offset : offset + (1 << 20)])
            sent.add(block[offset : offset + count])
    except TimeoutError:
        sock.settimeout(30)
        return sent


def ping(namespace, family, address, deadline=2):
    """One ICMP echo request and its reply. No reply: TimeoutError."""
    request = struct.pack("!BBHHH", 8 if family.version == 4 else 128, 0, 0, 4711, 1)
    if family.version == 4:  # the kernel fills in the checksum of ICMPv6 alone
        request = request[:2] + struct.pack("!H", 0xFFFF - sum(struct.unpack("!4H", request)) % 0xFFFF) + request[4:]
    protocol = socket.IPPROTO_ICMP if family.version == 4 else socket.IPPROTO_ICMPV6
    with namespace.socket(family.af, socket.SOCK_RAW, protocol) as sock:
        sock.settimeout(deadline)
        sock.connect((address, 0))
        sock.send(request)
        while True:
            reply = sock.recv(2048)
            if reply[-8] in (0, 129) and reply[-4:] == request[-4:]:
                return


class Background(threading.Thread):
    """A call in a thread of its own; result() waits for it and raises what it raised."""

    def __init__(self, function, *arguments):
        super().__init__(daemon=True)
        self._call = (function, arguments)
        self._outcome = None
        self.start()

    def run(self):
        function, arguments = self._call
        try:
            self._outcome = (function(*arguments), None)
        except BaseException as error:  # handed to whoever asks for the result
            self._outcome = (None, error)

    def result(self, deadline=60):
        self.join(deadline)
        if self.is_alive():
            raise AssertionError(f"{self._call[0].__name__} did not end within {deadline} s")
        value, error = self._outcome
        if error:
            raise error
        return value
