# SPDX-License-Identifier: MIT
# Load balancers in front of limpid that tell it of their clients (PROXY protocol), real ones and by hand.
import socket
import struct

from .servers import serving

FRONT = 7000  # where clients reach them


def haproxy(namespace, directory, backend, version="v1", port=FRONT):
    """To `backend`, an address as haproxy writes it; it also sends the header of its health checks."""
    send = {"v1": "send-proxy", "v2": "send-proxy-v2"}[version]
    config = directory / f"balancer-{port}.cfg"
    config.write_text(
        f"""defaults
    mode tcp
    timeout client 30s
    timeout connect 5s
    timeout server 30s
frontend front
    bind 0.0.0.0:{port}
    bind [::]:{port} v6only
    default_backend back
backend back
    server limpid {backend} {send} check inter 100ms
"""
    )
    return serving(namespace, directory, ["haproxy", "-db", "-f", config], [port])


def header_v1(family, client, destination):
    words = (f"PROXY TCP{family.version}", client[0], destination[0], client[1], destination[1])
    return (" ".join(map(str, words)) + "\r\n").encode()


def header_v2(family, client, destination, tlvs=b""):
    block = b"".join(socket.inet_pton(family.af, address) for address, _ in (client, destination))
    block += struct.pack("!HH", client[1], destination[1]) + tlvs
    kind = 0x11 if family.version == 4 else 0x21
    return b"\r\n\r\n\0\r\nQUIT\n" + struct.pack("!BBH", 0x21, kind, len(block)) + block


LOCAL_V2 = b"\r\n\r\n\0\r\nQUIT\n" + struct.pack("!BBH", 0x20, 0, 0)
UNKNOWN_V1 = b"PROXY UNKNOWN\r\n"
HEADERS = {"v1": header_v1, "v2": header_v2}


__all__ = ["FRONT", "HEADERS", "LOCAL_V2", "UNKNOWN_V1", "haproxy", "header_v1", "header_v2"]
