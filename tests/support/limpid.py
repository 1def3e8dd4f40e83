# SPDX-License-Identifier: MIT
# The real binary, driven as an operator and systemd drive it. LIMPID names it; build/release/limpid unless set.
import json
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import time

from . import processes
from .deadline import eventually

BINARY = pathlib.Path(
    os.environ.get("LIMPID") or pathlib.Path(__file__).resolve().parents[2] / "build" / "release" / "limpid"
).absolute()
START_DEADLINE = 10.0  # seconds; Limpid gives up on its own probe after 5
STOP_DEADLINE = 10.0
# Whether the binary is a sanitizer's, whose memory is not ours to judge.
SANITIZED = BINARY.exists() and bool(re.search(rb"__[at]san_init", BINARY.read_bytes()))
CLEAN_WITHIN = 5.0 if SANITIZED else 1.0  # seconds after a death until nothing is left and who died is replaced
# LeakSanitizer stops its process with ptrace, which the worker and the watcher may not use.
_ASAN_OPTIONS = os.environ.get("ASAN_OPTIONS", "detect_leaks=0")
_SANITIZER_REPORT = re.compile(r"(Address|Thread|Leak|UndefinedBehavior)Sanitizer|runtime error:|CHECK failed")


class StartFailed(AssertionError):
    """Limpid was meant to become ready and did not."""


class Limpid:
    """One `limpid run`, or another verb that serves. Started when made; ready when the constructor returns, unless ready=False."""

    def __init__(self, namespace, directory, control, arguments, ready=True, launcher=(), stdout=None, verb="run"):
        self.namespace = namespace
        self.control = control
        self._directory = directory
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(directory / "notify"))
        where = () if verb == "rules" else ("--socket", control)
        command = [*launcher, BINARY, verb, *where, *arguments]
        # Files, not pipes: nobody has to read along.
        with namespace.enter(), open(directory / "stdout", "wb") as access_log, open(
            directory / "stderr", "wb"
        ) as stderr:
            self.process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=access_log if stdout is None else stdout,
                stderr=stderr,
                env={**os.environ, "NOTIFY_SOCKET": str(directory / "notify"), "ASAN_OPTIONS": _ASAN_OPTIONS},
            )
        if ready:
            self.wait_ready()

    def close(self):
        """Ends what a failed test left running, and the notify socket."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._notify.close()

    # Start and stop.

    def notified(self, deadline):
        """Whether READY=1 came within the deadline. False at once when the process has ended."""
        end = time.monotonic() + deadline
        watch = os.pidfd_open(self.process.pid)
        try:
            while (left := end - time.monotonic()) > 0:
                readable, _, _ = select.select([self._notify, watch], [], [], left)
                if self._notify in readable:
                    if b"READY=1" in self._notify.recv(4096).split(b"\n"):
                        return True
                elif watch in readable:
                    return False
            return False
        finally:
            os.close(watch)

    def is_running(self):
        """Whether it goes on running. A traced process that has ended is its tracer's for a moment, then ours."""
        try:
            self.process.wait(0.5)
        except subprocess.TimeoutExpired:
            return True
        return False

    def wait_ready(self, deadline=START_DEADLINE):
        if not self.notified(deadline):
            raise StartFailed(f"not ready (exit status {self.process.poll()}), stderr:\n{self.stderr()}")
        return self

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self, deadline=STOP_DEADLINE):
        """SIGTERM, and the exit status."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        return self.wait(deadline)

    def wait(self, deadline=STOP_DEADLINE):
        """The exit status: negative for the signal that ended it."""
        try:
            return self.process.wait(deadline)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"limpid has not ended within {deadline:g} s, stderr:\n{self.stderr()}") from None

    def kill(self, *roles):
        """SIGKILL to processes by role ("supervisor", "worker", "watcher"); stopped first, so that none acts."""
        pids = self.pids()
        for role in roles:
            os.kill(pids[role], signal.SIGSTOP)
        for role in roles:
            os.kill(pids[role], signal.SIGKILL)
        if "supervisor" in roles:
            self.process.wait(STOP_DEADLINE)
        return pids

    # What it says.

    def stderr(self):
        return (self._directory / "stderr").read_text()

    def access_log(self):
        lines = (self._directory / "stdout").read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def sessions_logged(self, count, deadline=5.0):
        """The access log, once it has that many lines."""
        eventually(lambda: len(self.access_log()) >= count, deadline, f"{count} lines in the access log")
        return self.access_log()

    def sanitizer_reports(self):
        return [line for line in self.stderr().splitlines() if _SANITIZER_REPORT.search(line)]

    def command(self, verb, *words, check=True):
        """`limpid VERB --socket S ...` in the same namespace."""
        return self.namespace.run(BINARY, verb, "--socket", self.control, *words, check=check)

    def status(self):
        return json.loads(self.command("status", "--json").stdout)

    def pids(self):
        return self.status()["pids"]

    def counter(self, name):
        return self.status()["counters"][name]

    def close_reason(self, name):
        return self.status()["counters"]["close_reasons"].get(name, 0)

    def udp_counter(self, name):
        return self.status()["counters"]["udp"][name]

    def handed_over(self):
        """The flows that the kernel forwards by itself, as `limpid flows` tells of them."""
        return json.loads(self.command("flows", "--json").stdout)["handed_over"]

    def wait_udp(self, deadline=5.0, **wanted):
        """The status, once these counters of UDP have these values."""
        status = {}

        def look():
            status.update(self.status())
            return wanted.items() <= status["counters"]["udp"].items()

        try:
            eventually(look, deadline)
        except AssertionError:
            raise AssertionError(f"wanted {wanted}, counted {status['counters']['udp']}") from None
        return status

    def wait_status(self, condition, what, deadline=5.0):
        """The status, once condition(status) is true."""

        def look():
            status = self.status()
            return status if condition(status) else None

        return eventually(look, deadline, what)

    def wait_replaced(self, role, old, deadline=5.0):
        """The status, once another process plays the role and connections are taken again."""
        return self.wait_status(
            lambda status: status["pids"].get(role) not in (old, 0, None) and status["state"] == "ready",
            f"another {role} than {old}",
            deadline,
        )

    def wait_sessions(self, count, deadline=5.0):
        return self.wait_status(lambda status: status["sessions"] == count, f"{count} sessions", deadline)

    def processes_are_gone(self, pids):
        return not any(processes.is_alive(pid) for pid in pids.values())
