# SPDX-License-Identifier: MIT
# Datagrams: both ends of a flow, what the kernel tells of each datagram and of ICMP errors, and who carried it.
import collections
import contextlib
import dataclasses
import errno
import ipaddress
import os
import select
import socket
import struct
import time
import types

from .deadline import eventually
from .lab import PORT, endpoint

LARGEST = 65507  # bytes of payload that fit into one datagram of either family
HANDOVER_AFTER = 8  # datagrams
REFUSALS = (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.EACCES)  # what a socket makes of "unreachable", by code
_ROOM = 1 << 16
_BUFFER = 16 << 20
_SO_RCVBUFFORCE, _UDP_SEGMENT = 33, 103
_NOISE = os.urandom(1 << 17)

# Socket options, which Python does not know by name. A control message carries the option's own number, but for the
# hop limit of IPv6 (IPV6_HOPLIMIT).
_OPTIONS = {
    socket.AF_INET: types.SimpleNamespace(
        level=socket.SOL_IP, traffic_class=1, hop_limit=2, packet_info=8, discover_mtu=10, errors=11, mtu=14,
        free_bind=15, transparent=19, tell_packet_info=8, tell_hop_limit=12, tell_traffic_class=13, hop_limit_told=2,
    ),
    socket.AF_INET6: types.SimpleNamespace(
        level=socket.IPPROTO_IPV6, traffic_class=67, hop_limit=16, packet_info=50, discover_mtu=23, errors=25, mtu=24,
        free_bind=78, transparent=75, tell_packet_info=49, tell_hop_limit=51, tell_traffic_class=66, hop_limit_told=52,
    ),
}  # fmt: skip
NEVER_FRAGMENT, FRAGMENT = 2, 0  # values of discover_mtu: IP_PMTUDISC_DO, IP_PMTUDISC_DONT


def set_option(sock, **values):
    """set_option(sock, hop_limit=3)"""
    options = _OPTIONS[sock.family]
    for name, value in values.items():
        sock.setsockopt(options.level, getattr(options, name), value)
    return sock


def path_mtu(sock):
    """What the kernel takes for the largest packet on the way to a connected socket's peer."""
    options = _OPTIONS[sock.family]
    return sock.getsockopt(options.level, options.mtu)


# Sockets.


def bound(lab, family, namespace=None, address="", port=PORT):
    """A socket on that port, the server's unless another namespace is named."""
    sock = lab.keep((namespace or lab.server).socket(family.af, socket.SOCK_DGRAM))
    sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
    set_option(sock, free_bind=1, tell_packet_info=1, tell_hop_limit=1, tell_traffic_class=1)
    if family.version == 6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind((address, port))
    return sock


def client(lab, family, address=None, port=PORT, source="", source_port=0, namespace=None, **options):
    """A socket of the client's, connected to the server unless another address is named: it hears nobody else."""
    sock = lab.keep((namespace or lab.client).socket(family.af, socket.SOCK_DGRAM))
    sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
    set_option(sock, tell_hop_limit=1, tell_traffic_class=1, **options)
    if source_port:  # with port 0, SO_REUSEADDR would let two sockets have the same one
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((source, source_port))
    sock.connect((address or family.server, port))
    return sock


def flow(lab, family, **options):
    """A client and a server for it."""
    server = bound(lab, family, port=options.get("port", PORT))
    return client(lab, family, **options), server


# Datagrams.


@dataclasses.dataclass(frozen=True)
class Datagram:
    data: bytes
    source: tuple
    destination: str = None  # this and what follows: of sockets that ask for it
    hop_limit: int = None
    traffic_class: int = None


def receive(sock):
    data, messages, _, source = sock.recvmsg(_ROOM, 512)
    options = _OPTIONS[sock.family]
    told = {kind: value for level, kind, value in messages if level == options.level}
    info = told.get(options.packet_info)
    return Datagram(
        data,
        endpoint(source),
        info and str(ipaddress.ip_address(info[8:12] if sock.family == socket.AF_INET else info[:16])),
        *(_number(told.get(kind)) for kind in (options.hop_limit_told, options.traffic_class)),
    )


def _number(value):
    return value and int.from_bytes(value, "little")


def answer(sock, datagram, data, *messages):
    """To whom the datagram came from, from the address it was sent to."""
    address = ipaddress.ip_address(datagram.destination).packed
    info = struct.pack("=I4s4s", 0, address, bytes(4)) if len(address) == 4 else struct.pack("=16sI", address, 0)
    options = _OPTIONS[sock.family]
    sock.sendmsg([data], [(options.level, options.packet_info, info), *messages], 0, datagram.source)


def exchange(client, server, message=b"ping", reply=b"pong", seen_as=None):
    """One datagram each way. The server sees the client's own address and port, unless `seen_as` is given."""
    client.send(message)
    datagram = receive(server)
    assert datagram.data == message
    assert datagram.source == (seen_as or endpoint(client.getsockname()))
    answer(server, datagram, reply)
    assert client.recv(_ROOM) == reply


def comes_through(client, server, patience=0.1):
    """Whether a datagram and its answer get there in that time. What is late of earlier ones is passed over."""
    message, reply = os.urandom(8), os.urandom(8)
    try:
        client.send(message)
        datagram = _await(server, message, patience)
        if datagram:
            answer(server, datagram, reply)
        return bool(datagram and _await(client, reply, patience))
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        return False


def _await(sock, data, patience):
    end = time.monotonic() + patience
    while select.select([sock], [], [], max(0, end - time.monotonic()))[0]:
        datagram = receive(sock)
        if datagram.data == data:
            return datagram
    return None


def payload(number, size):
    """`size` bytes that are another number's only by chance, and in sizes above 4 by none."""
    start = number % (1 << 16)
    return (number.to_bytes(4, "big") + _NOISE[start : start + size])[:size]


def carry(client, server, datagrams):
    """The client sends all of them at once. Each must arrive, whole and once; in which order is nobody's promise."""
    for data in datagrams:
        client.send(data)
    expect_all(server, datagrams)


def carry_back(client, server, datagrams):
    """The same from the server to the client."""
    asked = asked_by(client)
    for data in datagrams:
        answer(server, asked, data)
    expect_all(client, datagrams)


def asked_by(client):
    """What a server has heard that the client has asked."""
    return Datagram(b"", endpoint(client.getsockname()), endpoint(client.getpeername())[0])


def send_in_one_piece(client, datagrams):
    """The kernel gets them in one call and takes them apart (UDP_SEGMENT); the last may be smaller than the others."""
    client.sendmsg([b"".join(datagrams)], [_segments(datagrams)])


def answer_in_one_piece(sock, datagram, datagrams):
    answer(sock, datagram, b"".join(datagrams), _segments(datagrams))


def _segments(datagrams):
    return socket.IPPROTO_UDP, _UDP_SEGMENT, struct.pack("=H", len(datagrams[0]))


def expect_all(receiver, datagrams):
    """Each of them arrives, whole and once, and nothing else before them."""
    missing = collections.Counter(datagrams)
    for count in range(len(datagrams)):
        try:
            data = receiver.recv(_ROOM)
        except TimeoutError:
            raise AssertionError(f"{count} of {len(datagrams)} datagrams arrived") from None
        assert missing[data] > 0, f"{len(data)} bytes that were not sent, or were once only"
        missing[data] -= 1


# Errors.


@dataclasses.dataclass(frozen=True)
class IcmpError:
    errno: int
    mtu: int
    offender: str


def icmp_error(sock):
    """The next ICMP error about what the socket has sent. It must have asked for them: client(errors=1)."""
    _, messages, *_ = sock.recvmsg(_ROOM, 1024, socket.MSG_ERRQUEUE)
    options = _OPTIONS[sock.family]
    (error,) = (value for level, kind, value in messages if (level, kind) == (options.level, options.errors))
    code, _, _, _, _, info, _ = struct.unpack_from("=IBBBBII", error)
    offender = error[20:24] if sock.family == socket.AF_INET else error[24:40]
    return IcmpError(code, info, str(ipaddress.ip_address(offender)))


def refusal(sock):
    """The errno that the socket's next datagram is refused with."""
    try:
        sock.send(b"?")
        sock.recv(_ROOM)
    except TimeoutError:
        raise AssertionError("neither refused nor answered") from None
    except OSError as error:
        return error.errno
    raise AssertionError("answered")


# Who carried it.


def packets_forwarded(namespace, family):
    if family.version == 6:
        fields = dict(line.split() for line in namespace.proc_net("snmp6").splitlines())
        return int(fields["Ip6OutForwDatagrams"])
    names, values = (line.split() for line in namespace.proc_net("snmp").splitlines() if line.startswith("Ip:"))
    return int(values[names.index("ForwDatagrams")])


@contextlib.contextmanager
def forwarded(lab, family, packets):
    """Meanwhile the gateway's kernel forwards exactly so many packets by itself."""
    before = packets_forwarded(lab.gateway, family)
    yield
    count = packets_forwarded(lab.gateway, family) - before
    assert count == packets, f"the gateway's kernel has forwarded {count} packets, not {packets}"


def relayed(lab, family):
    """Meanwhile the gateway's kernel forwards nothing: what arrives has been relayed."""
    return forwarded(lab, family, 0)


def name(sock):
    """A socket's own endpoint as Limpid writes it."""
    return text(*endpoint(sock.getsockname()))


def text(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def entry(limpid, client):
    """What `limpid flows` tells of the client's flow, if the kernel forwards it."""
    wanted = name(client), text(*endpoint(client.getpeername()))
    return next((one for one in limpid.handed_over() if (one["client"], one["destination"]) == wanted), None)


def hand_over(limpid, client, server, **options):
    """Exchanges datagrams until the kernel forwards the flow by itself."""
    for _ in range(HANDOVER_AFTER // 2 + 1):
        exchange(client, server, **options)
    eventually(lambda: entry(limpid, client), 10.0, "the flow handed over")
