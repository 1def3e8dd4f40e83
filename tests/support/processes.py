# SPDX-License-Identifier: MIT
# What /proc tells of a process.
import os
import pathlib
import resource


def is_alive(pid):
    """Whether the process exists and has not become a zombie."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def status(pid):
    """/proc/PID/status as a dict of strings."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def resident_bytes(pid):
    """Memory of the process's own that is resident: what it shares with its binary's file does not count."""
    fields = status(pid)
    return (int(fields["RssAnon"].split()[0]) + int(fields["RssShmem"].split()[0])) * 1024


def cpu_seconds(pid):
    """Time on a processor of all threads, exact to the nanosecond (utime and stime count ticks of 10 ms)."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        total += int(pathlib.Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[0])
    return total / 1e9


def descriptors(pid):
    """What each file descriptor of the process points to: "socket:[4711]", "/dev/null"."""
    found = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[int(fd)] = os.readlink(f"/proc/{pid}/fd/{fd}")
        except FileNotFoundError:  # closed meanwhile
            continue
    return found


def socket_inodes(pid, table):
    """Inodes in /proc/PID/net/TABLE ("netlink", "packet", "raw"): every such socket of the process's namespace."""
    lines = pathlib.Path(f"/proc/{pid}/net/{table}").read_text().splitlines()
    if not lines:
        return set()
    column = {"netlink": -1, "packet": -1, "raw": 9, "raw6": 9}[table]
    return {line.split()[column] for line in lines[1:]}


def limit_descriptors(pid, count):
    """Sets RLIMIT_NOFILE of a running process, both limits."""
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (count, count))
