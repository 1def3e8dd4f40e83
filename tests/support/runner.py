# SPDX-License-Identifier: MIT
# Starts Limpid on a lab's gateway, as often as a test likes, and sees to it that all of it goes again.
import os
import signal

from . import processes
from .deadline import eventually
from .limpid import BINARY, START_DEADLINE, Limpid

TAKE_TCP = ("--interface", "lan0", "--tcp", "8080")
TAKE_UDP = ("--interface", "lan0", "--udp", "8080")


class Runner:
    def __init__(self, lab, directory, defaults=TAKE_TCP):
        self.defaults = defaults
        self._lab = lab
        self._directory = directory
        self.control = directory / "limpid.sock"
        self._started = []

    def __call__(self, *arguments, defaults=None, **options):
        """run("--without-us", "closed"): ready when this returns. Options are those of Limpid's constructor."""
        if not BINARY.exists():
            raise AssertionError(f"{BINARY} does not exist: build it, or name another with LIMPID")
        if not self._lab.state_is_remembered:
            self._lab.remember_state()
        directory = self._directory / f"run{len(self._started)}"
        directory.mkdir()
        ready = options.pop("ready", True)
        words = [*(self.defaults if defaults is None else defaults), *arguments]
        limpid = Limpid(self._lab.gateway, directory, self.control, words, ready=False, **options)
        self._started.append(limpid)
        return limpid.wait_ready() if ready else limpid

    def configured(self, *tables, **options):
        """The same with a configuration file alone, of these tables."""
        path = self._directory / f"limpid{len(self._started)}.toml"
        path.write_text("".join(tables))
        return self("--config", path, defaults=(), **options)

    def refused(self, *arguments, **options):
        """A start that must fail: its exit status and what it said."""
        limpid = self(*arguments, ready=False, **options)
        code = limpid.wait(START_DEADLINE)
        return code, limpid.stderr()

    def command(self, verb, *words, check=True, socket_words=True):
        """`limpid VERB ...` on the gateway."""
        where = ("--socket", self.control) if socket_words else ()
        return self._lab.gateway.run(BINARY, verb, *where, *words, check=check)

    def stop_all(self):
        """The exit statuses of those that were still running."""
        return [limpid.stop() for limpid in self._started if limpid.process.poll() is None]

    def withdraw(self):
        return self.command("withdraw")

    def finish(self):
        """Ends everything in order, then names what is still there: a list of complaints."""
        self._lab.close_sockets()
        complaints = []
        for limpid in self._started:
            try:
                limpid.stop()
            except AssertionError as error:
                complaints.append(str(error))
            limpid.close()
            complaints += limpid.sanitizer_reports()
            print(f"--- stderr of {limpid.process.args}:\n{limpid.stderr()}")
        complaints += self._left_behind()
        return complaints

    def _left_behind(self):
        def look():
            return not self._lab.gateway.processes() and not self._lab.state_difference() and not self.control.exists()

        try:
            eventually(look, 1.0)
        except AssertionError:
            pids = self._lab.gateway.processes()
            for pid in pids:
                yield f"process left: {pid} {processes.status(pid)['Name']}"
                os.kill(pid, signal.SIGKILL)
            if difference := self._lab.state_difference():
                yield f"kernel state left:\n{difference}"
            if self.control.exists():
                yield f"socket left: {self.control}"
