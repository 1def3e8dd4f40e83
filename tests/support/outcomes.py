# SPDX-License-Identifier: MIT
# What a rule may do to a connection, as its client and its destination see it.
import contextlib

from . import traffic
from .deadline import stays_silent
from .sniffer import Sniffer


def is_reset(lab, family, says=b"", **options):
    """Whether a connection on which the client says this is refused or reset. One that only hangs: TimeoutError."""
    try:
        client = lab.connect(family, **options)
        client.sendall(says)
        traffic.receive_all(client)
    except (ConnectionRefusedError, ConnectionResetError):
        return True
    return False


def is_left_waiting(lab, family, says=b"", seconds=0.3, **options):
    """Whether the client of such a connection hears nothing, neither a byte nor an end."""
    try:
        with lab.connect(family, **options) as client:
            client.sendall(says)
            return stays_silent([client], seconds)
    except TimeoutError:
        return True


@contextlib.contextmanager
def nothing_reaches(namespace):
    """Meanwhile no TCP segment comes in at eth0, or goes out."""
    with Sniffer(namespace, "eth0") as sniffer:
        yield
        assert sniffer.segments() == []


def http_request(host):
    return f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


def exchange_streams(client, server, size=1 << 20):
    """So many bytes each way at once, all of them and in order."""
    calls = [
        traffic.Background(traffic.send_stream, client, size, False),
        traffic.Background(traffic.send_stream, server, size, False),
        traffic.Background(traffic.receive_stream, client, size),
        traffic.Background(traffic.receive_stream, server, size),
    ]
    up, down, client_received, server_received = (call.result() for call in calls)
    assert (server_received, client_received) == (up, down)
