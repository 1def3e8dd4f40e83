# SPDX-License-Identifier: MIT
"""One connection after the other, a request each: from connect() to the end of the answer. Prints each in microseconds."""

import json
import socket
import sys
import time

address, seconds = sys.argv[1], float(sys.argv[2])
request = b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"
took = []
end = time.monotonic() + seconds
while time.monotonic() < end:
    begun = time.perf_counter_ns()
    with socket.create_connection((address, 80), timeout=5) as connection:
        connection.sendall(request)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    took.append((time.perf_counter_ns() - begun) / 1000)
    if not answer.endswith(b"limpid\n"):
        sys.exit(f"an answer of {len(answer)} bytes")
print(json.dumps(took))
