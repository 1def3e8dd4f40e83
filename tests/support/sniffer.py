# SPDX-License-Identifier: MIT
# Sees every packet that arrives at, or leaves, an interface: what is really on the wire.
import contextlib
import ipaddress
import socket

_ETH_P_ALL = 0x0003
_ETH_P_IP, _ETH_P_IPV6 = 0x0800, 0x86DD


class Sniffer(contextlib.AbstractContextManager):
    def __init__(self, namespace, interface):
        self._socket = namespace.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 20)
        self._socket.bind((interface, _ETH_P_ALL))
        self._socket.setblocking(False)

    def __exit__(self, *exception):
        self._socket.close()

    def segments(self):
        """TCP segments since the last call: (source address, source port, destination address, destination port)."""
        return self._packets(socket.IPPROTO_TCP)

    def datagrams(self):
        """The same of UDP datagrams (IPv6: of whole ones)."""
        return self._packets(socket.IPPROTO_UDP)

    def _packets(self, transport):
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                data, (_, protocol, *_) = self._socket.recvfrom(128)
                packet = _parse(data, protocol, transport)
                if packet:
                    found.append(packet)
        return found


def _parse(data, protocol, transport):
    if protocol == _ETH_P_IP and data[9] == transport:
        if int.from_bytes(data[6:8], "big") & 0x1FFF:  # a fragment, not the first: it has no ports
            return None
        source, destination, payload = data[12:16], data[16:20], data[(data[0] & 15) * 4 :]
    elif protocol == _ETH_P_IPV6 and data[6] == transport:
        source, destination, payload = data[8:24], data[24:40], data[40:]
    else:
        return None
    ports = int.from_bytes(payload[:2], "big"), int.from_bytes(payload[2:4], "big")
    return str(ipaddress.ip_address(source)), ports[0], str(ipaddress.ip_address(destination)), ports[1]
