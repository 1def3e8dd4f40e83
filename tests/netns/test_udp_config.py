# SPDX-License-Identifier: MIT
# Keys and options of UDP, and how the commands are used with them.
import re
import subprocess

import pytest
from support import traffic, udp
from support.limpid import BINARY
from support.runner import TAKE_UDP

DEFAULTS = TAKE_UDP
GOOD = """\
[intercept]
interfaces = ["lan0"]
udp = ["8080"]
"""
# Each bad file, and what must be said of it: line, column, and words of the message.
BAD = {
    "a port too large": (GOOD.replace("8080", "80800"), [(3, 8, "80800")]),
    "a port of zero": (GOOD.replace("8080", "0"), [(3, 8, "0")]),
    "a port range turned round": (GOOD.replace("8080", "90-80"), [(3, 8, "90-80")]),
    "a port that is a name": (GOOD.replace("8080", "domain"), [(3, 8, "domain")]),
    "neither auto nor off": (GOOD + '[transparency]\nhandover = "always"\n', [(5, 12, "always")]),
    "a number of flows in words": (GOOD + '[limits]\nudp_flows = "many"\n', [(5, 13, "udp_flows")]),
    "a number of flows below zero": (GOOD + "[limits]\nudp_flows_per_client = -1\n", [(5, 24, "-1")]),
    "a time without a unit": (GOOD + "[limits]\nunanswered_timeout = 7\n", [(5, 22, "unanswered_timeout")]),
    "a time of nonsense": (GOOD + '[limits]\nanswered_timeout = "soon"\n', [(5, 20, "soon")]),
    "a key mistyped": (GOOD + "[limits]\nudp_flow = 7\n", [(5, 1, "udp_flows")]),
    "several errors at once": (
        GOOD.replace("8080", "x") + '[transparency]\nhandover = "x"\n[limits]\nanswered_timeout = "x"\n',
        [(3, 8, "x"), (5, 12, "x"), (7, 20, "x")],
    ),
}


def check(*words):
    return subprocess.run([BINARY, "check", *words], text=True, capture_output=True, timeout=20)


@pytest.mark.parametrize(("text", "expected"), BAD.values(), ids=[name.replace(" ", "_") for name in BAD])
def test_errors_say_file_line_and_column(tmp_path, text, expected):
    path = tmp_path / "limpid.toml"
    path.write_text(text)
    done = check("--config", path)
    assert done.returncode == 2
    assert done.stdout == ""
    found = re.findall(rf"^{re.escape(str(path))}:(\d+):(\d+): (.+)$", done.stderr, re.MULTILINE)
    assert [(int(line), int(column)) for line, column, _ in found] == [
        (line, column) for line, column, _ in expected
    ], done.stderr
    for (_, _, message), (_, _, words) in zip(found, expected):
        assert words in message


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--udp", "99999"), "udp"),
        (("--handover", "always"), "handover"),
        (("--udp-flows", "many"), "udp-flows"),
        (("--udp-flows-per-client", "many"), "udp-flows-per-client"),
        (("--unanswered-timeout", "soon"), "unanswered-timeout"),
        (("--answered-timeout", "soon"), "answered-timeout"),
        (("--source", "self"), "udp"),
    ],
    ids=lambda value: value if isinstance(value, str) else "_".join(value).strip("-"),
)
def test_errors_on_the_command_line_name_the_option(words, named):
    done = check("--interface", "lan0", *([] if "--udp" in words else ["--udp", "53"]), *words)
    assert done.returncode == 2
    assert named in done.stderr


def test_neither_tcp_nor_udp_is_nothing_to_intercept():
    done = check("--interface", "lan0")
    assert done.returncode == 2
    assert "nothing to intercept" in done.stderr
    assert "tcp" in done.stderr and "udp" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_udp_without_interfaces_is_nothing_to_intercept():
    done = check("--udp", "53")
    assert done.returncode == 2
    assert "nothing to intercept" in done.stderr and "interfaces" in done.stderr


def test_every_key_of_udp_is_accepted(tmp_path):
    path = tmp_path / "limpid.toml"
    path.write_text(
        """\
[intercept]
interfaces = ["lan0"]
udp = ["53", "443", "8000-8999"]
[transparency]
handover = "off"
[limits]
udp_flows = 65536
udp_flows_per_client = 8192
unanswered_timeout = "30s"
answered_timeout = "180s"
"""
    )
    done = check("--config", path)
    assert done.returncode == 0, done.stderr


def test_a_file_is_enough(lab, run, tmp_path, family):
    path = tmp_path / "limpid.toml"
    path.write_text(GOOD + '[transparency]\nhandover = "off"\n')
    limpid = run("--config", path, defaults=())
    client, server = udp.flow(lab, family)
    with udp.relayed(lab, family):
        for _ in range(2 * udp.HANDOVER_AFTER):
            udp.exchange(client, server)
    limpid.wait_udp(flows=1)


def test_udp_alone_takes_no_tcp_and_tcp_alone_no_udp(lab, run, family):
    for protocol in "udp", "tcp":
        limpid = run(defaults=("--interface", "lan0", f"--{protocol}", "8080"))
        client, server = udp.flow(lab, family)
        with udp.forwarded(lab, family, 0 if protocol == "udp" else 2):
            udp.exchange(client, server)
        client.close()
        server.close()
        connection, accepted = lab.session(family)
        traffic.exchange(connection, accepted)
        assert lab.is_intercepted(connection) == (protocol == "tcp")
        lab.close_sockets()
        assert limpid.stop() == 0


@pytest.mark.parametrize("handover", ["auto", "off"])
@pytest.mark.parametrize("without_us", ["open", "closed"])
@pytest.mark.parametrize("local", [False, True], ids=["forward", "local"])
@pytest.mark.parametrize("protocols", [("--udp", "53,443"), ("--tcp", "80", "--udp", "all")], ids=["udp", "both"])
def test_what_check_prints_is_accepted_by_nft_and_ip(lab, protocols, local, without_us, handover):
    words = ["--interface", "lan0,br*", *protocols, "--without-us", without_us, "--handover", handover]
    words += ["--bypass", "10.0.0.0/8,fd00::/8", *(["--local"] if local else [])]
    printed = lab.gateway.run(BINARY, "check", *words).stdout
    assert "udp" in printed
    commands = re.findall(r"^ip .*$", printed, re.MULTILINE)
    assert len(commands) >= 8  # three rules and a route a family
    for command in commands:
        lab.gateway.run(*command.split())
    ruleset = re.sub(r"^ip .*$", "", printed, flags=re.MULTILINE)
    assert "flags owner" in ruleset
    lab.gateway.nft(ruleset.replace("flags owner", ""))  # which would go with nft itself
    assert "table inet limpid" in lab.gateway.run("nft", "list", "ruleset").stdout


def test_ports_and_flows_are_sets_and_not_a_rule_each(lab, run, family):
    def rules():
        return lab.gateway.run("nft", "--terse", "list", "table", "inet", "limpid").stdout.count("\n")

    limpid = run()
    before = rules()
    server = udp.bound(lab, family)
    for _ in range(3):
        udp.hand_over(limpid, udp.client(lab, family), server)
    assert rules() == before
    assert limpid.stop() == 0
    run(defaults=("--interface", "lan0", "--udp", ",".join(str(8000 + 2 * number) for number in range(200))))
    assert rules() == before


@pytest.mark.parametrize(
    "words",
    [("flows", "--nonsense"), ("flows", "--take-back"), ("flows", "surplus"), ("run", "--udp", "53")],
    ids=lambda words: "_".join(words).replace("--", ""),
)
def test_usage_errors_exit_with_2(words):
    done = subprocess.run([BINARY, *words], text=True, capture_output=True, timeout=20)
    assert done.returncode == 2
    assert done.stderr.strip()


def test_flows_explains_itself():
    done = subprocess.run([BINARY, "flows", "--help"], text=True, capture_output=True, timeout=20)
    assert done.returncode == 0
    assert "--take-back" in done.stdout and "--json" in done.stdout
