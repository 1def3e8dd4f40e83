# SPDX-License-Identifier: MIT
"""Opens connections, exchanges one request on each, and keeps them until standard input ends."""

import resource
import socket
import sys

address, count = sys.argv[1], int(sys.argv[2])
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
kept = []
for _ in range(count):
    connection = socket.create_connection((address, 80), timeout=5)
    connection.sendall(b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n")
    if not connection.recv(65536).startswith(b"HTTP/1.1 200"):
        sys.exit("no answer")
    kept.append(connection)
print("open", flush=True)
sys.stdin.read()
