# SPDX-License-Identifier: MIT
# What is installed, and that each step of it may fail without leaving anything.
import os
import re

import pytest
from support import traffic
from support.deadline import eventually
from support.limpid import START_DEADLINE

# A start that takes every step that there is.
EVERYTHING = ("--udp", "8080", "--local", "--without-us", "closed")
# Of these steps, each how manyth is refused: each, where a start does not take a sanitizer's time.
STRIDE = int(os.environ.get("LIMPID_TEST_STRIDE", 1))


def test_three_fib_rules_a_family_whatever_the_number_of_interfaces(lab, run, family):
    rules = f"-{family.version} -details rule show"
    before = lab.gateway.ip(rules).splitlines()
    run("--local", "--interface", "wan0,eth7,eth8,docker*")
    added = [line for line in lab.gateway.ip(rules).splitlines() if line not in before]
    assert [int(line.partition(":")[0]) for line in added] == [99, 100, 101]
    assert all(re.search(r"\bproto(col)? (?!boot|static|kernel)", line) for line in added), "tagged as ours"


def test_priority_and_table_are_the_configured_ones(lab, run, family):
    run("--priority", "2000", "--table", "777")
    rules = lab.gateway.ip(f"-{family.version} rule show")
    assert "2000:" in rules and "lookup 777" in rules
    assert "local" in lab.gateway.ip(f"-{family.version} route show table 777")
    client, server = lab.session(family)
    assert lab.is_intercepted(client)
    traffic.exchange(client, server)


def test_the_marks_are_the_configured_ones(lab, run, family):
    words = ("--mark", "0x100/0x100", "--local-mark", "0x200/0x200", "--own-mark", "0x400/0x400")
    run(*words, "--local")
    ruleset = lab.gateway.run("nft", "list", "table", "inet", "limpid").stdout
    assert "0x00000100" in ruleset and "0x10000000" not in ruleset
    for namespace in lab.client, lab.gateway:
        client, server = lab.session(family, namespace=namespace)
        traffic.exchange(client, server)


def test_ports_and_prefixes_are_sets_and_not_a_rule_each(lab, run):
    def lines(ports, prefixes):
        words = ("--bypass", ",".join(f"10.9.{i}.0/24" for i in range(prefixes)))
        limpid = run(
            *words, defaults=("--interface", "lan0", "--tcp", ",".join(str(8000 + 2 * i) for i in range(ports)))
        )
        ruleset = lab.gateway.run("nft", "list", "table", "inet", "limpid").stdout
        assert limpid.stop() == 0
        return re.sub(r"elements = \{.*?\}", "", ruleset, flags=re.DOTALL).count("\n")

    assert lines(ports=500, prefixes=100) == lines(ports=1, prefixes=1)


def test_status_names_what_is_installed(lab, run):
    limpid = run()
    installed = "\n".join(limpid.status()["installed"])
    for expected in "limpid", "rule", "route", "5300", "0x10000000":
        assert expected in installed
    for family in "-4", "-6":
        assert "5300" in lab.gateway.ip(f"{family} rule show")


def test_nobody_else_may_change_our_table(lab, limpid):
    for words in ("delete", "table", "inet", "limpid"), ("flush", "table", "inet", "limpid"):
        assert lab.gateway.run("nft", *words, check=False).returncode != 0


def test_fib_rules_and_routes_that_another_removes_come_back(lab, run, family):
    run("--local")
    version = f"-{family.version}"
    rules, routes = lab.gateway.ip(f"{version} rule show"), lab.gateway.ip(f"{version} route show table 5300")
    for command in "rule del priority 99", "rule del priority 100", "rule del priority 101", "route flush table 5300":
        lab.gateway.ip(f"{version} {command}")
        eventually(
            lambda: lab.gateway.ip(f"{version} rule show") == rules
            and lab.gateway.ip(f"{version} route show table 5300") == routes,
            what=f"as before {command}",
        )
        for namespace in lab.client, lab.gateway:
            traffic.exchange(*lab.session(family, namespace=namespace))


def test_a_start_whose_own_probe_does_not_come_through_is_refused(lab, run):
    lab.gateway.nft(
        """table inet strict { chain in { type filter hook input priority 0;
        meta nfproto ipv6 iifname lo tcp dport != 53 drop; }; }"""
    )
    code, said = run.refused()
    assert code == 1
    assert "IPv6" in said and "IPv4" not in said


@pytest.mark.parametrize(
    "call", ["sendmsg", "sendto", "bind", "listen", "socket", "setsockopt", "clone3,clone,vfork,fork"]
)
def test_a_start_that_is_refused_at_any_step_leaves_nothing(lab, run, tmp_path, call):
    """The Nth such call of the supervisor fails, for every N that there is before it is ready (or every STRIDEth)."""
    code = {"bind": "EADDRINUSE", "listen": "EADDRINUSE", "socket": "ENFILE"}.get(call, "EPERM")
    calls_made = count_calls(run, tmp_path, call)
    for step in range(1, calls_made + 1, STRIDE):
        strace = ("strace", "-D", "-qq", "-o", tmp_path / "trace", "-e", f"trace={call}")
        inject = ("-e", f"inject={call}:error={code}:when={step}")
        limpid = run(*EVERYTHING, ready=False, launcher=(*strace, *inject))
        if limpid.notified(START_DEADLINE) or limpid.is_running():  # not a step that the start depends on
            assert limpid.status()["state"] == "ready"
            # The last steps may come after the start: then it is the end that meets the refusal, and says so.
            assert limpid.stop() == 0 or "withdraw: " in limpid.stderr()
            run.withdraw()
        else:
            # Without its netlink socket libnftables itself ends the program, with 3.
            wanted = 3 if "Unable to initialize Netlink socket" in limpid.stderr() else 1
            assert limpid.wait() == wanted, f"{call} {step}: {limpid.stderr()}"
            assert limpid.stderr().strip(), f"{call} {step}: it says what was refused"
        eventually(lambda: not lab.gateway.processes(), 5, f"{call} {step}: no process left")
        assert not lab.state_difference(), f"{call} {step}: {lab.state_difference()}\n{limpid.stderr()}"
        assert not run.control.exists(), f"{call} {step}: socket left"


def test_a_supervisor_killed_at_any_step_of_its_start_leaves_nothing(lab, run, tmp_path):
    steps = range(1, count_calls(run, tmp_path, "sendmsg") + 1, 3 * STRIDE)
    for step in steps:
        strace = ("strace", "-D", "-qq", "-o", tmp_path / "trace", "-e", "trace=sendmsg")
        inject = ("-e", f"inject=sendmsg:signal=SIGKILL:when={step}")
        limpid = run("--udp", "8080", "--local", ready=False, launcher=(*strace, *inject))
        limpid.notified(START_DEADLINE)
        if limpid.is_running():
            assert limpid.stop() == 0
        eventually(lambda: not lab.gateway.processes() and not lab.state_difference(), 2, f"step {step}: nothing left")
    run.withdraw()


def count_calls(run, tmp_path, call):
    """How many such calls the supervisor makes until it is ready."""
    trace = tmp_path / "count"
    launcher = ("strace", "-D", "-qq", "-o", trace, "-e", f"trace={call},sendmsg")
    limpid = run(*EVERYTHING, launcher=launcher)
    assert limpid.stop() == 0
    run.withdraw()
    before_ready = trace.read_text().partition('"READY=1"')[0]
    return min(len(re.findall(rf"^({call.replace(',', '|')})\(", before_ready, re.MULTILINE)), 120)
