# SPDX-License-Identifier: MIT
# DNS: dnsmasq and dig, and messages written by hand (RFC 1035, section 4).
import contextlib
import ipaddress
import struct

from .deadline import eventually

PORT = 53
A, AAAA = 1, 28
_QUERY, _RESPONSE = 0x0100, 0x8180


@contextlib.contextmanager
def dnsmasq(namespace, *words):
    """Answers in both families, with what these options say."""
    with namespace.program(
        "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root",
        "--pid-file=", "--log-facility=-", "--edns-packet-max=4096", *words,
    ):  # fmt: skip
        eventually(lambda: namespace.run("ss", "-Hluna", "sport = :53").stdout.count("\n") >= 2, what="dnsmasq")
        yield


def dig(namespace, server, *words):
    return namespace.run("dig", "+tries=1", "+time=3", "+short", f"@{server}", *words).stdout


def record_type(family):
    return A if family.version == 4 else AAAA


def query(number, name, kind):
    return _message(number, _QUERY, name, kind)


def response(number, name, address, ttl=60, kind=None):
    """That the name has this address."""
    packed = ipaddress.ip_address(address).packed
    kind = kind or (A if len(packed) == 4 else AAAA)
    record = b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, ttl, len(packed)) + packed
    return _message(number, _RESPONSE, name, kind, record)


def _message(number, flags, name, kind, *records):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    header = struct.pack("!6H", number, flags, 1, len(records), 0, 0)
    return header + labels + b"\0" + struct.pack("!HH", kind, 1) + b"".join(records)
