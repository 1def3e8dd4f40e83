# SPDX-License-Identifier: MIT
# Real servers in a namespace: there when they listen, gone with all their children.
import contextlib
import os
import signal
import subprocess

from .deadline import eventually


@contextlib.contextmanager
def serving(namespace, directory, command, ports, hosts=None):
    """The command runs meanwhile and listens on these TCP ports. Whoever it asks for names in `hosts`, a dict, is told
    these addresses. What it says is shown if it does not start."""
    words = [str(word) for word in command]
    if hosts is not None:
        names = directory / f"{_name(command, ports)}.hosts"
        names.write_text("".join(f"{address} {name}\n" for name, address in hosts.items()))
        over = f"mount --bind '{names}' /etc/hosts && exec \"$@\""
        words = ["unshare", "--mount", "sh", "-c", over, "sh", *words]
    for port in ports:
        assert not _listens(namespace, port), f"{command[0]}: port {port} is in use"
    log = directory / f"{_name(command, ports)}.log"
    with namespace.enter(), open(log, "wb") as output:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        _wait_until_it_listens(namespace, process, ports, log)
        yield process
    finally:
        _end(namespace, process)


def _name(command, ports):
    return f"{command[0]}-{ports[0]}"


def _end(namespace, process):
    def is_alone():  # dead processes have left the namespace
        return not any(_group(pid) == process.pid for pid in namespace.processes())

    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # a session of its own: nobody else is in that group
    process.wait()
    eventually(is_alone, what=f"the end of every {process.args[0]}")


def _group(pid):
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def _listens(namespace, port):
    return bool(namespace.run("ss", "-Hltn", f"sport = :{port}").stdout)


def _wait_until_it_listens(namespace, process, ports, log):
    def listens_or_has_ended():
        return process.poll() is not None or all(_listens(namespace, port) for port in ports)

    try:
        eventually(listens_or_has_ended, 10.0)
        assert process.poll() is None, f"exit status {process.returncode}"
    except AssertionError as error:
        raise AssertionError(f"{process.args}: {error}\n{log.read_text(errors='replace')}") from None
