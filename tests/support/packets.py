# SPDX-License-Identifier: MIT
# Packets made by hand: what no honest socket would send.
import ipaddress
import socket
import struct


def udp(source, destination, source_port, destination_port, payload=b"", length=None, checksum=None):
    """A UDP header with its payload; length and checksum as given, or right."""
    length = 8 + len(payload) if length is None else length
    header = struct.pack("!HHHH", source_port, destination_port, length, 0)
    if checksum is None:
        pseudo_header = _packed(source) + _packed(destination) + struct.pack("!IHH", length, 0, socket.IPPROTO_UDP)
        checksum = _checksum(pseudo_header + header + payload)
    return header[:6] + struct.pack("!H", checksum) + payload


def ip(source, destination, content, hop_limit=64):
    """The packet that carries it. The kernel fills in the checksum of IPv4."""
    addresses = _packed(source) + _packed(destination)
    if len(addresses) == 8:
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(content), 0, 0, hop_limit, socket.IPPROTO_UDP, 0)
    else:
        head = struct.pack("!IHBB", 6 << 28, len(content), socket.IPPROTO_UDP, hop_limit)
    return head + addresses + content


def send(namespace, destination, *packets):
    """Sends packets as they are, towards the destination."""
    family = socket.AF_INET6 if ":" in destination else socket.AF_INET
    with namespace.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
        for packet in packets:
            sock.sendto(packet, (destination, 0))


def _packed(address):
    return ipaddress.ip_address(address).packed


def _checksum(data):
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data)) % 0xFFFF
    return 0xFFFF - total or 0xFFFF
