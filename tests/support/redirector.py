#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A transparent proxy as small as they come (tcprdr, the netcat of the kernel's document): it connects to where each
connection was meant to go, with its client's address and port, and passes bytes on.

    redirector.py [--any-port] PORT    listens there on all addresses; with --any-port it keeps the client's address alone
"""
import socket
import sys
import threading

IP_TRANSPARENT, IPV6_TRANSPARENT = 19, 75


def transparent(family):
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET:
        sock.setsockopt(socket.SOL_IP, IP_TRANSPARENT, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return sock


def pump(source, sink):
    try:
        while data := source.recv(1 << 16):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:  # either end is gone: so is the other
        for end in source, sink:
            end.close()


def serve(client, keeps_port):
    upstream = transparent(client.family)
    try:
        address, port = client.getpeername()[:2]
        upstream.bind((address, port if keeps_port else 0))
        upstream.connect(client.getsockname()[:2])
    except OSError:
        client.close()
        return
    there = threading.Thread(target=pump, args=(client, upstream), daemon=True)
    there.start()
    pump(upstream, client)
    there.join()
    for end in client, upstream:
        end.close()


def accept_for_ever(listener, keeps_port):
    while True:
        client = listener.accept()[0]
        threading.Thread(target=serve, args=(client, keeps_port), daemon=True).start()


def main():
    keeps_port = "--any-port" not in sys.argv
    threads = []
    for family, address in (socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::"):
        listener = transparent(family)
        listener.bind((address, int(sys.argv[-1])))
        listener.listen(128)
        threads.append(threading.Thread(target=accept_for_ever, args=(listener, keeps_port), daemon=True))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
