# SPDX-License-Identifier: MIT
# What a namespace's kernel holds that somebody must have put there: nftables, fib rules, routes, qdiscs and filters,
# sysctls. Compared as text, before and after.
import difflib
import os
import re

_ROOT = "/proc/sys/net/"
_COUNTED_BY_THE_KERNEL = re.compile(  # or chosen by it: a key when the first socket asks for TCP Fast Open
    r"nf_conntrack_count$|nf_conntrack_buckets$|random/|fib_sync_mem$|/flush$|stable_secret$|tcp_fastopen_key$"
)


def _read(path):
    """Two looks at nearly a thousand keys a test: what open() adds is half of their time."""
    fd = os.open(path, os.O_RDONLY)
    try:
        return os.read(fd, 4096).decode(errors="replace").strip()
    finally:
        os.close(fd)


def _sysctls(namespace):
    lines = []
    with namespace.enter():
        for folder, _, files in os.walk(_ROOT):
            for name in files:
                path = f"{folder}/{name}"
                if _COUNTED_BY_THE_KERNEL.search(path):
                    continue
                try:
                    lines.append(f"{path.removeprefix(_ROOT)} = {_read(path)}")
                except OSError:  # write-only keys, and unset ones
                    continue
    return sorted(lines)


def _traffic_control(namespace):
    qdiscs = namespace.run("tc", "qdisc", "show").stdout
    filters = [
        namespace.run("tc", "filter", "show", "dev", device, "ingress", check=False).stdout
        for device in re.findall(r"^qdisc (?:clsact|ingress) \S+ dev (\S+)", qdiscs, re.MULTILINE)
    ]
    return qdiscs + "".join(filters)


class KernelState:
    """A snapshot. Two are equal if nobody has left anything behind between them."""

    def __init__(self, namespace):
        self._parts = {
            "nft list ruleset": namespace.run("nft", "list", "ruleset").stdout.splitlines(),
            "tc": _traffic_control(namespace).splitlines(),
            "sysctl": _sysctls(namespace),
        }
        for family in "-4", "-6":
            rules_and_routes = namespace.ip("rule show\nroute show table all", family, "-details").splitlines()
            self._parts[f"ip {family}"] = sorted(line for line in rules_and_routes if " cache " not in line)

    def __eq__(self, other):
        return self._parts == other._parts

    def difference(self, later):
        """What to show when a later snapshot is not equal."""
        lines = []
        for name, before in self._parts.items():
            lines += difflib.unified_diff(
                before, later._parts[name], f"{name}, before", f"{name}, after", lineterm="", n=0
            )
        return "\n".join(lines)
