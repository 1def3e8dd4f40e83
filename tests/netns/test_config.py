# SPDX-License-Identifier: MIT
# Configuration as an operator meets it: a file, options above it, and errors that say where.
import re
import subprocess

import pytest
from support import traffic
from support.families import IPV4
from support.limpid import BINARY

GOOD = """\
[intercept]
interfaces = ["lan0"]
tcp = ["8080"]
"""
# Each bad file, and what must be said of it: line, column, and words of the message.
BAD = {
    "not toml": ("[intercept\n", [(1, 11, "not TOML")]),
    "an unknown table": (GOOD + "[intercpt]\n", [(4, 2, "did you mean [intercept]?")]),
    "an unknown key": (GOOD + "sctp = ['53']\n", [(4, 1, "sctp")]),
    "a port too large": (GOOD.replace("8080", "80800"), [(3, 8, "80800")]),
    "a port range turned round": (GOOD.replace("8080", "90-80"), [(3, 8, "90-80")]),
    "a port that is a name": (GOOD.replace("8080", "http"), [(3, 8, "http")]),
    "a number where text belongs": (GOOD.replace('["lan0"]', "7"), [(2, 14, "interfaces")]),
    "an interface name too long": (GOOD.replace("lan0", "a" * 16), [(2, 15, "a" * 16)]),
    "a star in the middle of a name": (GOOD.replace("lan0", "l*n0"), [(2, 15, "l*n0")]),
    "a prefix with host bits": (GOOD + 'bypass = ["10.1.2.3/8"]\n', [(4, 11, "10.1.2.3/8")]),
    "a prefix that is a name": (GOOD + 'bypass_from = ["example.org"]\n', [(4, 16, "example.org")]),
    "a mark beyond its mask": (GOOD + 'mark = "0x3/0x1"\n', [(4, 8, "0x3/0x1")]),
    "marks that share a bit": (GOOD + 'mark = "0x3/0x3"\nown_mark = "0x2/0x2"\n', [(5, 12, "own_mark")]),
    "neither open nor closed": (GOOD + 'without_us = "ajar"\n', [(4, 14, "ajar")]),
    "a duration without a unit": (GOOD + "[limits]\nidle_timeout = 7\n", [(5, 16, "idle_timeout")]),
    "a duration of nonsense": (GOOD + '[limits]\nidle_timeout = "soon"\n', [(5, 16, "soon")]),
    "a log level of nonsense": (GOOD + '[log]\nlevel = "loud"\n', [(5, 9, "loud")]),
    "a local port required": (
        GOOD + 'local = true\n[transparency]\nkeep_port = "require"\n',
        [(6, 13, "keep_port")],
    ),
    "the main table": (GOOD + "table = 254\n", [(4, 9, "254")]),
    "no room for three priorities": (GOOD + "priority = 0\n", [(4, 12, "priority")]),
    "several errors at once": (
        GOOD.replace("8080", "0") + 'without_us = "ajar"\ncolour = "blue"\n',
        [(3, 8, "0"), (4, 14, "ajar"), (5, 1, "colour")],
    ),
}  # fmt: skip


def check(path, *words):
    return subprocess.run([BINARY, "check", "--config", path, *words], text=True, capture_output=True, timeout=20)


@pytest.mark.parametrize(("text", "expected"), BAD.values(), ids=[name.replace(" ", "_") for name in BAD])
def test_errors_say_file_line_and_column_all_at_once(tmp_path, text, expected):
    path = tmp_path / "limpid.toml"
    path.write_text(text)
    done = check(path)
    assert done.returncode == 2
    assert done.stdout == ""
    found = re.findall(rf"^{re.escape(str(path))}:(\d+):(\d+): (.+)$", done.stderr, re.MULTILINE)
    assert len(found) == len(expected), done.stderr
    for (line, column, message), (wanted_line, wanted_column, words) in zip(found, expected):
        assert (int(line), int(column)) == (wanted_line, wanted_column), done.stderr
        assert words in message


def test_run_finds_the_same_errors_and_starts_nothing(run, tmp_path):
    path = tmp_path / "limpid.toml"
    path.write_text(GOOD + 'without_us = "ajar"\n')
    code, said = run.refused("--config", path, defaults=())
    assert code == 2
    assert f"{path}:4:14: " in said


def test_a_file_that_does_not_exist_is_named(tmp_path):
    done = check(tmp_path / "missing.toml")
    assert done.returncode == 2
    assert "missing.toml" in done.stderr and "No such file" in done.stderr


def test_a_file_is_enough(lab, run, tmp_path, family):
    path = tmp_path / "limpid.toml"
    path.write_text(GOOD)
    run("--config", path, defaults=())
    client, server = lab.session(family)
    assert lab.is_intercepted(client)
    traffic.exchange(client, server)


def test_an_option_overrides_its_key_and_no_other(lab, run, tmp_path):
    path = tmp_path / "limpid.toml"
    path.write_text(GOOD + f'bypass = ["{IPV4.server_alias}"]\n')
    run("--config", path, "--tcp", "8081", defaults=())
    for port, address, is_taken in (
        (8081, IPV4.server, True),
        (8080, IPV4.server, False),
        (8081, IPV4.server_alias, False),
    ):
        client, server = lab.session(IPV4, port=port, address=address)
        traffic.exchange(client, server)
        assert lab.is_intercepted(client) == is_taken


def test_every_key_of_the_manual_is_accepted(tmp_path):
    path = tmp_path / "limpid.toml"
    path.write_text(
        """\
[intercept]
interfaces = ["lan0", "br-*"]
tcp = ["80", "443", "8000-8999"]
local = false
bypass = ["10.0.0.0/8", "fd00::/8"]
bypass_from = ["192.0.2.7"]
without_us = "closed"
mark = "0x10000000/0x10000000"
local_mark = "0x20000000/0x20000000"
own_mark = "0x40000000/0x40000000"
table = 5300
priority = 100
[transparency]
source = "client"
keep_port = "require"
[limits]
sessions = 0
connect_timeout = "10s"
idle_timeout = "2h"
half_closed_timeout = "10m"
drain_timeout = "30s"
[log]
level = "info"
access = "off"
[process]
user = "limpid"
"""
    )
    done = check(path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--tcp", "99999"), "tcp"),
        (("--bypass", "10.0.0.1/8"), "bypass"),
        (("--mark", "purple"), "mark"),
        (("--without-us", "ajar"), "without-us"),
        (("--idle-timeout", "soon"), "idle-timeout"),
        (("--local", "--keep-port", "require"), "keep"),
    ],
    ids=lambda value: value if isinstance(value, str) else "_".join(value).strip("-"),
)
def test_errors_on_the_command_line_name_the_option(words, named):
    base = ["--interface", "lan0", *([] if "--tcp" in words else ["--tcp", "80"])]
    done = subprocess.run([BINARY, "check", *base, *words], text=True, capture_output=True, timeout=20)
    assert done.returncode == 2
    assert named in done.stderr.replace("_", "-") or named in done.stderr
