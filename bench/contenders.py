# SPDX-License-Identifier: MIT
"""Who is compared: the kernel's own forwarding, limpid, and behind the same rules HAProxy (TCP) and v2ray (UDP)."""

import contextlib
import csv
import io
import json
import os
import pathlib
import socket
import subprocess
import tempfile

from lab import GATEWAY, INTERCEPTED, UDP_INTERCEPTED, BenchError, forwarded_packets, run, start, stop, wait_for

HERE = pathlib.Path(__file__).resolve().parent
TICKS = os.sysconf("SC_CLK_TCK")


class Contender:
    """Runs on the gateway between enter and exit. `carried` says how many connections have gone through it."""

    name = ""
    masquerade = False  # the gateway's
    forwards_flows = False  # the kernel passes on what belongs to UDP flows of more than a few datagrams
    forwards_questions = False  # and of one question and one answer
    serves_all = True  # no UDP flow is left without service
    measures = None  # that it takes part in; None: in all

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def processes(self):
        return []

    def session_processes(self):
        """Those that hold the sessions."""
        return self.processes()

    def carried(self):
        raise NotImplementedError

    def relayed(self):
        """How many of the clients' datagrams it has relayed; None: it does not say."""

    def alive(self):
        """How many UDP flows it says it relays at the moment; None: it does not say."""

    def check_flows(self, count):
        """That many UDP flows of more than a few datagrams are where they are meant to be."""

    def check_carried(self, before, connections):
        """A proxy that did not start must not be mistaken for a fast one."""
        wait_for(lambda: self.carried() - before >= connections, f"{self.name}: {connections} connections carried")

    def cpu_seconds(self):
        return sum(cpu_seconds(pid) for pid in self.processes())

    def resident(self):
        """Bytes of memory."""
        return sum(resident(pid) for pid in self.session_processes())

    def descriptors(self):
        """Open descriptors but for pipes: limpid keeps up to 512 of those ready for TCP."""
        return sum(descriptors(pid) for pid in self.session_processes())


class Plain(Contender):
    name = "plain"
    forwards_flows = True
    forwards_questions = True

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
    options = ("--tcp", ",".join(map(str, INTERCEPTED)))

    def __init__(self, program):
        self.program = program
        self.process = None

    def configure(self, text):
        (self.path / "limpid.toml").write_text(text)
        self.options = (*Limpid.options, "--config", self.path / "limpid.toml")

    def start(self):
        ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        ready.bind(str(self.path / "notify"))
        ready.settimeout(10)
        self.process = start(self.program, "run", "--interface", "lan0", *self.options, "--access-log", "off",
                             "--socket", self.path / "limpid.sock", inside=GATEWAY,
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

    def ask(self, verb):
        return json.loads(run(self.program, verb, "--json", "--socket", self.path / "limpid.sock"))

    def processes(self):
        return list(self.ask("status")["pids"].values())

    def session_processes(self):
        return [self.ask("status")["pids"]["worker"]]

    def carried(self):
        return self.ask("status")["counters"]["accepted"]


class LimpidIdentify(Limpid):
    """With one rule, about a name that no connection is for: each connection's first bytes are looked at for it."""

    name = "identify"
    measures = {"connections"}

    def start(self):
        self.configure('[[rule]]\nhost = ["*.example.test"]\naction = "reject"\n')
        super().start()


class LimpidRules(Limpid):
    """With as many rules as nobody has, none of which matches; each connection's first bytes are looked at for it."""

    name = "rules"
    measures = {"connections"}
    RULES, NAMES = 10_000, 1_000_000

    def start(self):
        names = "".join(f"host-{number}.example-{number % 977}.test\n" for number in range(self.NAMES))
        (self.path / "names").write_text(names)
        rule = '[[rule]]\nto = ["100.{}.{}.0/24"]\nport = ["{}"]\nhost = ["*.rule-{}.test"]\naction = "reject"\n'
        rules = [rule.format(64 + number // 256, number % 256, 80 + number % 2, number)
                 for number in range(self.RULES - 1)]
        last = f'[[rule]]\nhost_file = "{self.path}/names"\naction = "reject"\n'
        self.configure("".join(rules) + last)
        super().start()


class LimpidKernel(Limpid):
    """A rule lets the kernel forward it all."""

    name = "kernel"
    measures = {"bulk, 1 flow", "bulk, 8 flows", "requests", "connections"}

    def start(self):
        self.configure('[[rule]]\naction = "direct"\n')
        super().start()

    def carried(self):
        if accepted := super().carried():
            raise BenchError(f"{self.name}: limpid itself took {accepted} connections")
        return forwarded_packets()

    def check_carried(self, before, connections):
        Contender.check_carried(self, before, connections)


class LimpidUdp(Limpid):
    """As it is: flows are handed over to the kernel when they turn out to be more than a question and its answer."""

    options = ("--udp", ",".join(map(str, UDP_INTERCEPTED)))
    forwards_flows = True

    def relayed(self):
        return self.ask("status")["counters"]["udp"]["datagrams_up"]

    def check_flows(self, count):
        wait_for(lambda: len(self.ask("flows")["handed_over"]) == count, f"{self.name}: {count} flows handed over")

    def alive(self):
        return self.ask("status")["udp"]["flows"]


class LimpidRelay(LimpidUdp):
    name = "relayed"
    options = (*LimpidUdp.options, "--handover", "off")
    forwards_flows = False

    def check_flows(self, count):
        """None is handed over."""
        super().check_flows(0)


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

    process = None

    def start(self):
        (self.path / "haproxy.cfg").write_text(self.CONFIG.format(socket=self.path / "stats", port=self.PORT))
        self.process = start("haproxy", "-db", "-f", self.path / "haproxy.cfg", inside=GATEWAY,
                             stdout=subprocess.DEVNULL, stderr=self.errors)
        wait_for(lambda: self.answers() or self.process.poll() is not None, "HAProxy")
        if self.process.poll() is not None:
            raise self.failure("not started")
        rules = (HERE / "haproxy.nft").read_text().replace("ZONE ", "ct zone set 5300 " if self.masquerade else "")
        if self.masquerade:
            rules += (HERE / "haproxy-zones.nft").read_text()
        intercept(rules)

    def stop(self):
        intercept_no_more()
        if self.process:
            stop(self.process)

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


class V2ray(Proxy):
    """It sends as the gateway itself: its questions and their answers are connections of their own."""

    name = "v2ray"
    serves_all = False  # of flows that begin together it leaves some without answers for good
    process = None

    PORT = 3130
    CONFIG = {
        "log": {"loglevel": "error"},
        "inbounds": [{"listen": "127.0.0.1", "port": PORT, "protocol": "dokodemo-door",
                      "settings": {"network": "udp", "followRedirect": True},
                      "streamSettings": {"sockopt": {"tproxy": "tproxy"}}}],
        "outbounds": [{"protocol": "freedom", "streamSettings": {"sockopt": {"mark": 255}}}],
    }

    def start(self):
        (self.path / "v2ray.json").write_text(json.dumps(self.CONFIG))
        # A flow is a socket or two of its: as many as this machine lets it have.
        self.process = start("sh", "-c", "ulimit -n 1000000 || ulimit -n $(ulimit -Hn); exec v2ray -config $0",
                             self.path / "v2ray.json", inside=GATEWAY, stdout=self.errors, stderr=self.errors)
        listens = lambda: f":{self.PORT} " in run("ss", "-Huln", inside=GATEWAY)
        wait_for(lambda: listens() or self.process.poll() is not None, "v2ray")
        if self.process.poll() is not None:
            raise self.failure("not started")
        intercept((HERE / "v2ray.nft").read_text())

    def stop(self):
        intercept_no_more()
        if self.process:
            stop(self.process)

    def processes(self):
        return [self.process.pid]


def intercept(rules):
    """What limpid does for itself."""
    run("sh", "-e", inside=GATEWAY, input=(HERE / "proxy.rules.sh").read_text())
    run("nft", "-f", "-", inside=GATEWAY, input=rules)


def intercept_no_more():
    run("nft", "delete", "table", "inet", "proxy", inside=GATEWAY, check=False)
    for family in ("-4", "-6"):
        for priority in (99, 100, 101):
            run("ip", family, "rule", "delete", "priority", priority, inside=GATEWAY, check=False)
        run("ip", family, "route", "flush", "table", 5300, inside=GATEWAY, check=False)


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise BenchError(f"process {pid} has no memory")


def descriptors(pid):
    directory, count = f"/proc/{pid}/fd", 0
    for name in os.listdir(directory):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            count += not os.readlink(f"{directory}/{name}").startswith("pipe:")
    return count
