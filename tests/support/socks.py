# SPDX-License-Identifier: MIT
# A SOCKS5 proxy that carries datagrams (RFC 1928), played by hand: a test sees each word of it and may say what no
# proxy should.
import socket
import struct

from . import traffic, udp
from .lab import endpoint
from .upstreams import SOCKS

OPEN, PASSWORD = 0, 2  # methods


def by_address(family, address, port):
    return bytes([1 if family.version == 4 else 4]) + socket.inet_pton(family.af, address) + struct.pack("!H", port)


def by_name(name, port):
    return bytes([3, len(name)]) + name.encode() + struct.pack("!H", port)


def greet(control, method=OPEN):
    """The greeting, and for a method with a password what was said and believed: (name, password)."""
    version, count = traffic.receive_exactly(control, 2)
    assert version == 5 and method in traffic.receive_exactly(control, count)
    control.sendall(bytes([5, method]))
    if method == OPEN:
        return None
    assert traffic.receive_exactly(control, 1) == b"\1"
    said = tuple(traffic.receive_exactly(control, traffic.receive_exactly(control, 1)[0]).decode() for _ in range(2))
    control.sendall(b"\1\0")  # RFC 1929
    return said


def receive_request(control, family):
    """UDP ASSOCIATE, by somebody who does not know where from the datagrams will come."""
    wanted = b"\5\3\0" + by_address(family, "0.0.0.0" if family.version == 4 else "::", 0)
    assert traffic.receive_exactly(control, len(wanted)) == wanted


class Association:
    """What limpid has asked this proxy for, granted."""

    def __init__(self, lab, proxy, family, port=SOCKS, bound=None, control=None):
        self.family = family
        self.control = control or accept(lab, proxy, family, port)
        if not control:
            greet(self.control)
            receive_request(self.control, family)
        self.relay = udp.bound(lab, family, proxy, family.other_server, 0)
        self.control.sendall(b"\5\0\0" + by_address(family, bound or family.other_server, self.port))

    @property
    def port(self):
        return endpoint(self.relay.getsockname())[1]

    def receive(self, to=None):
        """The next datagram's payload; it was for the server's port 8080, or what `to` says."""
        header = bytes(3) + (to or by_address(self.family, self.family.server, 8080))
        datagram = udp.receive(self.relay)
        assert datagram.data[: len(header)] == header
        self.peer = datagram.source
        assert self.peer[0] == endpoint(self.control.getpeername())[0]
        return datagram.data[len(header) :]

    def answer(self, payload, source=None, head=bytes(3)):
        if source is None:
            source = by_address(self.family, self.family.server, 8080)
        self.relay.sendto(head + source + payload, self.peer)

    def exchange(self, client, message=b"ping", reply=b"pong"):
        client.send(message)
        assert self.receive() == message
        self.answer(reply)
        assert client.recv(1 << 16) == reply


def accept(lab, proxy, family, port=SOCKS):
    return lab.accept(family, proxy, port=port)
