# SPDX-License-Identifier: MIT
"""What is measured. Each function takes a running contender and returns figures by name."""

import contextlib
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

from lab import CLIENT, SERVER, SERVER_ADDRESS, BenchError, run, start, stop, wait_for, within

HERE = pathlib.Path(__file__).resolve().parent
KEPT_OPEN = 64
IDLE = 2000


@contextlib.contextmanager
def servers():
    """nginx and iperf3 in the server's namespace."""
    with tempfile.TemporaryDirectory(prefix="limpid-bench-") as directory:
        pid_file = f"pid {directory}/nginx.pid;"  # nginx removes it when it ends: never a file of anybody else's
        running = [start("nginx", "-e", "stderr", "-c", HERE / "nginx.conf", "-g", pid_file, inside=SERVER),
                   start("iperf3", "-s", "-p", "5201", inside=SERVER, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)]
        try:
            listening = lambda: {"80", "5201"} <= set(re.findall(r":(\d+)\s", run("ss", "-Htln", inside=SERVER)))
            wait_for(listening, "nginx and iperf3")
            yield
        finally:
            for process in running:
                stop(process)


@contextlib.contextmanager
def watched(contender, cpu):
    """Notes in `cpu` what processor time the contender takes meanwhile."""
    before = contender.cpu_seconds()
    yield
    cpu.append(contender.cpu_seconds() - before)


def bulk(contender, seconds, flows):
    """Throughput of iperf3, client to server."""
    carried, cpu = contender.carried(), []
    with watched(contender, cpu):
        answer = run("iperf3", "-c", SERVER_ADDRESS, "-P", flows, "-t", seconds, "-J", inside=CLIENT)
    received = json.loads(answer)["end"]["sum_received"]
    contender.check_carried(carried, flows + 1)
    return {"throughput": received["bits_per_second"] / 1e9, "cpu per GB": cpu[0] * 1e3 / (received["bytes"] / 1e9)}


def wrk(contender, seconds, *headers):
    cpu = []
    with watched(contender, cpu):
        answer = run("wrk", "-t1", f"-c{KEPT_OPEN}", f"-d{seconds}", *headers, f"http://{SERVER_ADDRESS}/",
                     inside=CLIENT)
    requests = int(re.search(r"(\d+) requests in", answer)[1])
    rate = float(re.search(r"Requests/sec:\s*([\d.]+)", answer)[1])
    if refused := re.search(r"Socket errors:.*|Non-2xx.*", answer):
        raise BenchError(f"{contender.name}: {refused[0]}")
    return requests, rate, cpu[0] * 1e6 / requests


def requests_kept_open(contender, seconds):
    """Requests on 64 connections that stay open."""
    carried = contender.carried()
    _, rate, cpu = wrk(contender, seconds)
    contender.check_carried(carried, KEPT_OPEN)
    return {"rate": rate, "cpu per request": cpu}


def new_connections(contender, seconds):
    """Connections, 64 at a time, with one request each."""
    carried = contender.carried()
    connections, rate, cpu = wrk(contender, seconds, "-H", "Connection: close")
    contender.check_carried(carried, connections)
    return {"rate": rate, "cpu per connection": cpu}


def one_at_a_time(contender, seconds):
    """How long one connection with one request takes when there is no other."""
    carried = contender.carried()
    took = json.loads(run(sys.executable, HERE / "one_at_a_time.py", SERVER_ADDRESS, seconds, inside=CLIENT))
    contender.check_carried(carried, len(took))
    cuts = statistics.quantiles(took, n=100)
    return {"p50": cuts[49], "p99": cuts[98]}


def idle_sessions(contender, _seconds):
    """Memory of the proxy's own that a session takes when nothing moves."""
    if not contender.processes():
        return {}
    carried = contender.carried()
    hold(20)  # what the first sessions ever cost is no session's cost
    contender.check_carried(carried, 20)
    carried, empty = contender.carried(), contender.resident()
    full = hold(IDLE, contender.resident)
    contender.check_carried(carried, IDLE)
    return {"memory per session": (full - empty) / IDLE}


def hold(count, while_open=lambda: None):
    command = within(CLIENT, [sys.executable, HERE / "idle_sessions.py", SERVER_ADDRESS, count])
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        if holder.stdout.readline() != "open\n":
            raise BenchError(f"{count} sessions could not be held open")
        result = while_open()
        holder.stdin.close()
    return result


SLICES = {"requests": 4, "connections": 4}  # in a round, of up to 2 s: the contenders take turns at each

MEASURES = {
    "bulk, 1 flow": lambda contender, seconds: bulk(contender, seconds, 1),
    "bulk, 8 flows": lambda contender, seconds: bulk(contender, seconds, 8),
    "requests": requests_kept_open,
    "connections": new_connections,
    "latency": one_at_a_time,
    "idle": idle_sessions,
}
