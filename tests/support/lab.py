# SPDX-License-Identifier: MIT
# Three namespaces in a row, both families:
#
#   client eth0 10.1.0.2 ---- lan0 10.1.0.1  gateway  10.2.0.1 wan0 ---- eth0 10.2.0.2 server
#               fd00:1::2          fd00:1::1          fd00:2::1               fd00:2::2
import contextlib
import ipaddress
import secrets
import socket
import struct

from .deadline import eventually
from .families import FAMILIES
from .kernel_state import KernelState
from .namespaces import namespaces

PORT = 8080  # of the servers, and what Limpid takes unless a test says otherwise
PATIENCE = 5.0  # seconds after which a blocked call on a socket is a failure

_SYSCTLS = {
    "ipv4.ip_forward": 1,
    "ipv6.conf.all.forwarding": 1,
    "ipv6.conf.default.accept_dad": 0,
    "ipv4.tcp_congestion_control": "cubic",  # bbr paces veth down to a quarter
    "bridge.bridge-nf-call-iptables": 0,  # a test that wants bridges to call iptables says so
    "bridge.bridge-nf-call-ip6tables": 0,
    "bridge.bridge-nf-call-arptables": 0,
}


class Lab:
    def __init__(self):
        self._undo = contextlib.ExitStack()
        self._sockets = contextlib.ExitStack()
        self._listeners = {}
        self._before = None
        self._token = secrets.token_hex(3)
        try:
            self.client, self.gateway, self.server = self._namespaces("client", "gateway", "server")
            self._wire()
        except BaseException:
            self._undo.close()
            raise

    def remove(self):
        self.close_sockets()
        self._undo.close()

    def _namespaces(self, *roles):
        made = self._undo.enter_context(namespaces(*(f"lab-{self._token}-{role}" for role in roles)))
        for namespace in made:
            namespace.sysctls(_SYSCTLS)
        return made

    def _wire(self):
        self.gateway.ip(
            f"""link set lo up
            link add lan0 type veth peer name eth0 netns {self.client.name}
            link add wan0 type veth peer name eth0 netns {self.server.name}
            address add 10.1.0.1/24 dev lan0
            address add fd00:1::1/64 dev lan0 nodad
            address add 10.2.0.1/24 dev wan0
            address add fd00:2::1/64 dev wan0 nodad
            link set lan0 up
            link set wan0 up"""
        )
        self._end_host(self.client, "10.1.0.{}/24", "fd00:1::{}/64", [2])
        self._end_host(self.server, "10.2.0.{}/24", "fd00:2::{}/64", [2, 3])

    @staticmethod
    def _end_host(namespace, ipv4, ipv6, hosts):
        addresses = [
            f"address add {text.format(host)} dev eth0 {'nodad' if text is ipv6 else ''}"
            for host in hosts
            for text in (ipv4, ipv6)
        ]
        gateways = [text.format(1).partition("/")[0] for text in (ipv4, ipv6)]
        namespace.ip(
            "\n".join(
                ["link set lo up", "link set eth0 up"]
                + addresses
                + [f"route add default via {gateways[0]}", f"route add default via {gateways[1]}"]
            )
        )

    def add_other_server(self):
        """A second server behind an interface of its own: 10.3.0.2 and fd00:3::2 behind wan1."""
        (other,) = self._namespaces("other")
        self.gateway.ip(
            f"""link add wan1 type veth peer name eth0 netns {other.name}
            address add 10.3.0.1/24 dev wan1
            address add fd00:3::1/64 dev wan1 nodad
            link set wan1 up"""
        )
        self._end_host(other, "10.3.0.{}/24", "fd00:3::{}/64", [2])
        return other

    def add_server_beyond_a_small_link(self, mtu):
        """A host 10.3.0.2, fd00:3::2 to which the server forwards, over a link that takes packets up to `mtu` bytes."""
        (far,) = self._namespaces("far")
        self.server.ip(
            f"""link add far0 mtu {mtu} type veth peer name eth0 mtu 1500 netns {far.name}
            address add 10.3.0.1/24 dev far0
            address add fd00:3::1/64 dev far0 nodad
            link set far0 up"""
        )
        self._end_host(far, "10.3.0.{}/24", "fd00:3::{}/64", [2])
        self.gateway.ip("route add 10.3.0.0/24 via 10.2.0.2\nroute add fd00:3::/64 via fd00:2::2")
        return far

    def add_many_destinations(self, family, count):
        """So many addresses, all of them the server's."""
        self.server.ip(f"-{family.version} route add local {family.many} dev lo")
        self.gateway.ip(f"-{family.version} route add {family.many} via {family.server}")
        prefix = ipaddress.ip_network(family.many)
        return [str(prefix[number]) for number in range(1, count + 1)]

    # Sockets: closed with the lab, and with a deadline on everything that blocks.

    def keep(self, sock):
        sock.settimeout(PATIENCE)
        return self._sockets.enter_context(sock)

    def close_sockets(self):
        self._listeners.clear()
        self._sockets.close()

    def listener(self, family, namespace=None, address=None, port=PORT, backlog=4096):
        """A listening socket, the server's unless another namespace is named. The same one when asked again."""
        namespace = namespace or self.server
        key = (family, namespace, address, port)
        if key not in self._listeners:
            sock = self.keep(namespace.socket(family.af))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family.version == 6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((address or ("0.0.0.0" if family.version == 4 else "::"), port))
            sock.listen(backlog)
            self._listeners[key] = sock
        return self._listeners[key]

    def connect(self, family, address=None, port=PORT, source_port=0, namespace=None, prepare=lambda sock: None):
        """A connection that the client opens, to the server unless another address is named."""
        sock = self.keep((namespace or self.client).socket(family.af))
        if source_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("", source_port))
        prepare(sock)
        sock.connect((address or family.server, port))
        return sock

    def accept(self, family, namespace=None, port=PORT):
        return self.keep(self.listener(family, namespace, port=port).accept()[0])

    def session(self, family, **options):
        """Both ends of one connection through the gateway: what the client holds, what the server holds."""
        port = options.get("port", PORT)
        self.listener(family, port=port)
        client = self.connect(family, **options)
        return client, self.accept(family, port=port)

    def is_intercepted(self, client):
        """Whether the gateway has a socket of its own at the other end of this connection: a transparent proxy's."""
        (here, here_port), (there, there_port) = endpoint(client.getsockname()), endpoint(client.getpeername())
        brackets = "[{}]:{}" if client.family == socket.AF_INET6 else "{}:{}"
        words = "src", brackets.format(there, there_port), "dst", brackets.format(here, here_port)
        return bool(self.gateway.run("ss", "-Hnta", *words).stdout)

    # The gateway's kernel state.

    def remember_state(self):
        """From now on the gateway must look again, at the end, as it does now. The first Limpid does this too."""
        is_wired = lambda: "linkdown" not in self.gateway.ip("route show table all")  # noqa: E731
        eventually(is_wired, what="a carrier on every link")
        self._before = KernelState(self.gateway)

    @property
    def state_is_remembered(self):
        return self._before is not None

    def state_difference(self):
        """Empty if the gateway's kernel state is as remembered."""
        return "" if self._before is None else self._before.difference(KernelState(self.gateway))


def reset_on_close(sock):
    """close(2) sends RST from now on."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return sock


def endpoint(name):
    """(address, port) of what getsockname and getpeername return, IPv6's flow label and scope left out."""
    return name[:2]


__all__ = ["FAMILIES", "PATIENCE", "PORT", "Lab", "endpoint", "reset_on_close"]
