# SPDX-License-Identifier: MIT
"""Who is compared: the kernel's own forwarding, limpid, and HAProxy behind the same kernel rules."""

import csv
import io
import json
import os
import pathlib
import socket
import subprocess
import tempfile

from lab import GATEWAY, INTERCEPTED, BenchError, forwarded_packets, run, start, stop, wait_for

HERE = pathlib.Path(__file__).resolve().parent
TICKS = os.sysconf("SC_CLK_TCK")


class Contender:
    """Runs on the gateway between enter and exit. `carried` says how many connections and bytes have gone through it."""

    name = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def processes(self):
        return []

    def carried(self):
        raise NotImplementedError

    def check_carried(self, before, connections):
        """A proxy that did not start must not be mistaken for a fast one."""
        wait_for(lambda: self.carried() - before >= connections, f"{self.name}: {connections} connections carried")

    def cpu_seconds(self):
        return sum(cpu_seconds(pid) for pid in self.processes())

    def resident(self):
        """Bytes resident in the processes that hold the sessions."""
        return sum(resident(pid) for pid in self.processes())


class Plain(Contender):
    name = "plain"

    def carried(self):
        return forwarded_packets()


class Proxy(Contender):
    """Whatever a proxy carries, the gateway's kernel does not forward."""

    def __enter__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="limpid-bench-")
        self.path = pathlib.Path(self.directory.name)
        self.errors = open(self.path / "errors", "w+")
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        self.forwarded = forwarded_packets()
        return self

    def __exit__(self, *_):
        self.stop()
        self.errors.close()
        self.directory.cleanup()

    def check_carried(self, before, connections):
        super().check_carried(before, connections)
        # When the client breaks off, what is still under way finds no socket on the gateway any more and is forwarded: a
        # packet or two for each connection that was open. A connection that went past it has at least eight.
        if (passed := forwarded_packets() - self.forwarded) > 128 + connections / 100:
            raise BenchError(f"{self.name}: {passed} packets of {connections} connections went past it")

    def failure(self, what):
        self.errors.seek(0)
        return BenchError(f"{self.name}: {what}: {self.errors.read().strip()}")


class Limpid(Proxy):
    name = "limpid"

    def __init__(self, program):
        self.program = program
        self.process = None

    def start(self):
        ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        ready.bind(str(self.path / "notify"))
        ready.settimeout(10)
        self.process = start(self.program, "run", "--interface", "lan0", "--tcp", ",".join(map(str, INTERCEPTED)),
                             "--access-log", "off", "--socket", self.path / "limpid.sock", inside=GATEWAY,
                             env=os.environ | {"NOTIFY_SOCKET": str(self.path / "notify")},
                             stdout=subprocess.DEVNULL, stderr=self.errors)
        try:
            while b"READY=1" not in ready.recv(4096):
                pass
        except TimeoutError:
            raise self.failure("not ready") from None
        finally:
            ready.close()

    def stop(self):
        if self.process:
            stop(self.process)

    def status(self):
        return json.loads(run(self.program, "status", "--json", "--socket", self.path / "limpid.sock"))

    def processes(self):
        return list(self.status()["pids"].values())

    def resident(self):
        return resident(self.status()["pids"]["worker"])

    def carried(self):
        return self.status()["counters"]["accepted"]


class HAProxy(Proxy):
    name = "HAProxy"

    PORT = 3129
    CONFIG = """
global
    nbthread 2
    maxconn 7000
    stats socket {socket} mode 600 level admin
defaults
    mode tcp
    option splice-auto
    timeout connect 10s
    timeout client 2h
    timeout server 2h
listen intercepted
    bind 127.0.0.1:{port} transparent
    source 0.0.0.0 usesrc client
    server destination 0.0.0.0
"""

    def __init__(self, masquerade):
        self.masquerade = masquerade
        self.process = None

    def start(self):
        (self.path / "haproxy.cfg").write_text(self.CONFIG.format(socket=self.path / "stats", port=self.PORT))
        self.process = start("haproxy", "-db", "-f", self.path / "haproxy.cfg", inside=GATEWAY,
                             stdout=subprocess.DEVNULL, stderr=self.errors)
        wait_for(lambda: self.answers() or self.process.poll() is not None, "HAProxy")
        if self.process.poll() is not None:
            raise self.failure("not started")
        run("sh", "-e", inside=GATEWAY, input=(HERE / "haproxy.rules.sh").read_text())
        rules = (HERE / "haproxy.nft").read_text().replace("ZONE ", "ct zone set 5300 " if self.masquerade else "")
        if self.masquerade:
            rules += (HERE / "haproxy-zones.nft").read_text()
        run("nft", "-f", "-", inside=GATEWAY, input=rules)

    def stop(self):
        run("nft", "delete", "table", "inet", "haproxy", inside=GATEWAY, check=False)
        if self.process:
            stop(self.process)
        for family in ("-4", "-6"):
            for priority in (99, 100, 101):
                run("ip", family, "rule", "delete", "priority", priority, inside=GATEWAY, check=False)
            run("ip", family, "route", "flush", "table", 5300, inside=GATEWAY, check=False)

    def ask(self, question):
        with socket.socket(socket.AF_UNIX) as asking:
            asking.connect(str(self.path / "stats"))
            asking.sendall(question.encode() + b"\n")
            return b"".join(iter(lambda: asking.recv(65536), b"")).decode()

    def answers(self):
        try:
            return "Uptime" in self.ask("show info")
        except OSError:
            return False

    def processes(self):
        return [self.process.pid]

    def carried(self):
        rows = csv.DictReader(io.StringIO(self.ask("show stat")))
        return next(int(row["stot"]) for row in rows if row["svname"] == "FRONTEND")


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise BenchError(f"process {pid} has no memory")
