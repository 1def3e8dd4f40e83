# SPDX-License-Identifier: MIT
# The commands around `limpid run`: check, status, withdraw; what they print and how they exit.
import json
import re
import subprocess

import pytest
from support import traffic
from support.families import FAMILIES
from support.kernel_state import KernelState
from support.limpid import BINARY

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs")
OPTIONS = ("--interface", "lan0,br*", "--tcp", "80,443,8000-8999", "--bypass", "10.0.0.0/8,fd00::/8")


def limpid(*words):
    return subprocess.run([BINARY, *words], text=True, capture_output=True, timeout=20)


def test_check_prints_what_run_would_install_and_needs_no_root(lab):
    done = lab.gateway.run(*NOBODY, BINARY, "check", *OPTIONS)
    for expected in (
        "table inet limpid",
        "8000-8999",
        "10.0.0.0/8",
        "fd00::/8",
        "tproxy",
        "ip -4 rule add",
        "ip -6 rule add",
    ):
        assert expected in done.stdout


def test_check_installs_nothing(lab):
    before = KernelState(lab.gateway)
    lab.gateway.run(BINARY, "check", *OPTIONS, "--local", "--without-us", "closed")
    assert before == KernelState(lab.gateway)


@pytest.mark.parametrize("without_us", ["open", "closed"])
@pytest.mark.parametrize("local", [False, True], ids=["forward", "local"])
def test_what_check_prints_is_accepted_by_nft_and_ip(lab, without_us, local):
    words = [*OPTIONS, "--without-us", without_us, *(["--local"] if local else [])]
    printed = lab.gateway.run(BINARY, "check", *words).stdout
    commands = re.findall(r"^ip .*$", printed, re.MULTILINE)
    assert len(commands) >= 8  # three rules and a route a family
    for command in commands:
        lab.gateway.run(*command.split())
    ruleset = re.sub(r"^ip .*$", "", printed, flags=re.MULTILINE)
    assert "flags owner" in ruleset
    lab.gateway.nft(ruleset.replace("flags owner", ""))  # which would go with nft itself
    assert "table inet limpid" in lab.gateway.run("nft", "list", "ruleset").stdout


def test_check_prints_the_same_rules_that_run_installs(lab, run):
    run()
    printed = lab.gateway.run(BINARY, "check", *run.defaults).stdout
    for family in FAMILIES:
        added = [
            line for line in lab.gateway.ip(f"-{family.version} rule show").splitlines() if re.match("99|10[01]", line)
        ]
        assert len(added) == 3
        for line in added:
            assert f"priority {line.partition(':')[0]}" in printed or f"pref {line.partition(':')[0]}" in printed


def test_status_in_words_names_state_sessions_and_what_is_installed(lab, run, family):
    running = run()
    traffic.finish(*lab.session(family))
    running.wait_sessions(0)
    said = running.command("status").stdout
    for expected in "ready", "sessions", "accepted", "done", "limpid", "5300":
        assert expected in said
    with pytest.raises(json.JSONDecodeError):
        json.loads(said)


def test_status_as_json_has_every_key(lab, run):
    status = run().status()
    assert status["state"] == "ready"
    assert set(status["pids"]) == {"supervisor", "worker", "watcher"}
    assert set(status["conditions"]) == {"taking", "zones", "early", "cookies"}
    assert status["conditions"]["taking"]
    assert {
        "accepted", "source_port_kept", "source_address_kept", "source_not_kept", "bytes_up", "bytes_down",
        "log_lines_lost", "close_reasons",
    } <= set(status["counters"])  # fmt: skip
    assert status["sessions"] == 0 and status["sessions_max"] > 1000
    assert re.match(r"\d+\.\d+", status["version"])
    assert status["degraded"] == [] and status["installed"]
    assert re.match(status["version"], limpid("--version").stdout.split()[-1])


def test_status_without_a_running_limpid_says_so(lab, run):
    lab.remember_state()
    done = run.command("status", check=False)
    assert done.returncode == 1
    assert str(run.control) in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_run_without_root_is_refused_in_one_line(lab, tmp_path):
    done = lab.gateway.run(
        *NOBODY, BINARY, "run", "--socket", tmp_path / "s", "--interface", "lan0", "--tcp", "80", check=False
    )
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "root" in done.stderr or "CAP_NET_ADMIN" in done.stderr


def test_an_access_log_that_cannot_be_opened_is_named(run, tmp_path):
    code, said = run.refused("--access-log", tmp_path / "missing" / "access.log")
    assert code == 1
    assert "missing/access.log" in said and "No such file" in said


def test_withdraw_without_root_is_refused(lab, tmp_path):
    assert lab.gateway.run(*NOBODY, BINARY, "withdraw", "--socket", tmp_path / "s", check=False).returncode == 1


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("nonsense",),
        ("run",),
        ("run", "--interface", "lan0"),
        ("run", "--tcp", "80"),
        ("run", "--nonsense"),
        ("check",),
        ("status", "--nonsense"),
        ("run", "--interface", "lan0", "--tcp", "80", "surplus"),
    ],
    ids=lambda words: "_".join(words).replace("--", "") or "nothing",
)
def test_usage_errors_exit_with_2(words):
    done = limpid(*words)
    assert done.returncode == 2
    assert done.stderr.strip()


@pytest.mark.parametrize("words", [("--help",), ("run", "--help"), ("status", "--help"), ("--version",)], ids="_".join)
def test_help_and_version_exit_with_0(words):
    done = limpid(*words)
    assert done.returncode == 0
    assert done.stdout
    assert done.stderr == ""


def test_the_hidden_verbs_do_nothing_when_called_by_hand(lab):
    before = KernelState(lab.gateway)
    for verb in "worker", "watcher":
        done = lab.gateway.run(BINARY, verb, check=False)
        assert done.returncode != 0
        assert done.stderr.strip()
    assert before == KernelState(lab.gateway)
