# SPDX-License-Identifier: MIT
# `limpid rules` on a lab's gateway, and proxies that are not limpid: sockets that the test holds itself, and a small
# program.
import pathlib
import socket

from . import traffic
from .lab import PORT, endpoint
from .limpid import BINARY
from .udp import set_option

LISTEN = 3129  # the proxies' port
TAKE = ("--interface", "lan0", "--tcp", str(PORT))
_PROGRAM = ("/usr/bin/python3", pathlib.Path(__file__).resolve().parent / "redirector.py")
REDIRECTOR, ADDRESS_KEEPER = (*_PROGRAM, LISTEN), (*_PROGRAM, "--any-port", LISTEN)


class Rules:
    def __init__(self, lab, run):
        self._lab = lab
        self._run = run

    def hold(self, *words, take=TAKE, command=(), **options):
        """`limpid rules hold`, ready when this returns unless ready=False."""
        behind = ("--", *command) if command else ()
        return self._run("hold", "--port", LISTEN, *take, *words, *behind, defaults=(), verb="rules", **options)

    def refused(self, *words, **options):
        """A start that must fail: its exit status and what it said."""
        limpid = self.hold(*words, ready=False, **options)
        return limpid.wait(), limpid.stderr()

    def end(self, held, name="proxy"):
        """Ends a hold with without_us = "closed", whose guard stays until it is removed."""
        held.stop()
        self.command("remove", name)

    def install(self, name, *words, take=TAKE, check=True):
        return self.command("install", name, "--port", LISTEN, *take, *words, check=check)

    def print(self, *words, take=TAKE, check=True):
        return self.command("print", "--port", LISTEN, *take, *words, check=check)

    def command(self, verb, *words, check=True):
        if not self._lab.state_is_remembered:
            self._lab.remember_state()
        return self._lab.gateway.run(BINARY, "rules", verb, *words, check=check)


def proxy_socket(lab, family, kind=socket.SOCK_STREAM, address=None, port=0):
    """A transparent socket on the gateway, bound."""
    sock = lab.keep(lab.gateway.socket(family.af, kind))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family.version == 6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    set_option(sock, transparent=1)
    sock.bind((address or ("0.0.0.0" if family.version == 4 else "::"), port))
    return sock


def proxy_listener(lab, family, address=None):
    sock = proxy_socket(lab, family, address=address, port=LISTEN)
    sock.listen(64)
    return sock


def accept_from(lab, listener, client):
    """The proxy's end of that client's connection; before it may have been the probe's."""
    while True:
        accepted, peer = listener.accept()
        lab.keep(accepted)
        if endpoint(peer) == endpoint(client.getsockname()):
            return accepted


def pass_on(lab, family, client, accepted, port=PORT):
    """What a proxy does with it: a connection to the destination in the client's name, and the server's end of that."""
    assert endpoint(accepted.getsockname()) == endpoint(client.getpeername())
    upstream = proxy_socket(lab, family, address=endpoint(client.getsockname())[0], port=client.getsockname()[1])
    upstream.connect(endpoint(accepted.getsockname()))
    return upstream, lab.accept(family, port=port)


def proxied(lab, family, listener, port=PORT):
    """A session through a proxy that the test is itself: what the client and the server hold. The proxy has seen the
    destination, the server sees the client; the answers of both sides come to the proxy."""
    lab.listener(family, port=port)
    client = lab.connect(family, port=port)
    accepted = accept_from(lab, listener, client)
    upstream, server = pass_on(lab, family, client, accepted, port)
    assert endpoint(server.getpeername()) == endpoint(client.getsockname())
    traffic.exchange(client, accepted)
    traffic.exchange(upstream, server)
    return client, server
