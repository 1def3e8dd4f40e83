# SPDX-License-Identifier: MIT
# A network namespace that a test can act in. A socket, and a child process, stays in the namespace in which it was
# made, so one process can hold both ends of a connection across namespaces.
import contextlib
import ctypes
import os
import pathlib
import socket
import subprocess

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _set_namespace(fd):
    if _libc.setns(fd, _CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"setns: {os.strerror(code)}")


class CommandFailed(AssertionError):
    """A command that a test relies on was refused."""


def _path_of(key):
    return pathlib.Path("/proc/sys/net") / key.replace(".", "/")


def _for_each(verb, names):
    commands = "".join(f"netns {verb} {name}\n" for name in names)
    subprocess.run(["ip", "-force", "-batch", "-"], input=commands, text=True, check=True)


@contextlib.contextmanager
def namespaces(*names):
    """New ones, a Namespace each, as long as they are wanted: one process makes all of them, which is half the time."""
    with contextlib.ExitStack() as undo:
        undo.callback(_for_each, "del", names)
        _for_each("add", names)
        made = [Namespace(name) for name in names]
        for namespace in made:
            undo.callback(namespace.close)
        yield made


class Namespace:
    """One that is there."""

    def __init__(self, name):
        self.name = name
        self._fd = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)

    def close(self):
        os.close(self._fd)

    @contextlib.contextmanager
    def enter(self):
        """This thread is in the namespace: sockets made, /proc/thread-self/net, /proc/sys/net, children started."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        _set_namespace(self._fd)
        try:
            yield
        finally:
            _set_namespace(home)
            os.close(home)

    def run(self, *command, text=None, check=True, **options):
        """Runs a command to its end in the namespace: a CompletedProcess with stdout and stderr as text."""
        with self.enter():
            done = subprocess.run(
                [str(word) for word in command], input=text, text=True, capture_output=True, timeout=60, **options
            )
        if check and done.returncode != 0:
            raise CommandFailed(f"{' '.join(map(str, command))}: exit status {done.returncode}: {done.stderr.strip()}")
        return done

    @contextlib.contextmanager
    def program(self, *command):
        """A program that runs in the namespace meanwhile."""
        with self.enter():
            process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def ip(self, words, *options):
        """ip("-6 rule add ..."): one command, or several by line (then without options of their own)."""
        lines = [line for line in words.splitlines() if line.strip()]
        if len(lines) == 1:
            return self.run("ip", *options, *lines[0].split()).stdout
        return self.run("ip", *options, "-batch", "-", text="\n".join(lines)).stdout

    def nft(self, text):
        return self.run("nft", "-f", "-", text=text).stdout

    def sysctl(self, key, value=None):
        """Reads a key below net, or sets it: sysctl("ipv4.ip_forward", 1)."""
        if value is not None:
            return self.sysctls({key: value})
        with self.enter():
            return _path_of(key).read_text().strip()

    def sysctls(self, values):
        with self.enter():
            for key, value in values.items():
                _path_of(key).write_text(str(value))

    def socket(self, family, kind=socket.SOCK_STREAM, protocol=0):
        with self.enter():
            return socket.socket(family, kind, protocol)

    def processes(self):
        """Pids of the processes that live in the namespace (zombies have left it)."""
        # Not by run(): from inside, this process itself would be one of them.
        listed = subprocess.run(["ip", "netns", "pids", self.name], text=True, capture_output=True, check=True)
        return [int(pid) for pid in listed.stdout.split() if int(pid) != os.getpid()]

    def proc_net(self, name):
        with self.enter():
            return pathlib.Path(f"/proc/thread-self/net/{name}").read_text()
