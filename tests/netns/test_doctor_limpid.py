# SPDX-License-Identifier: MIT
# `limpid doctor` beside a limpid: one that runs, one that is dead, and a configuration that nobody runs yet.
import pathlib
import re
import signal

import pytest
from support import firewalls
from support.deadline import eventually
from support.doctor import examine
from support.families import FAMILIES
from support.kernel_state import KernelState
from support.limpid import BINARY
from support.settings import intercept, limits

DOCS = pathlib.Path(__file__).resolve().parents[2]
EVERYTHING = ("--udp", "8080", "--local")


@pytest.fixture
def doctor(lab, run):
    """doctor("--config", file): what it says of the gateway, whose limpid it may ask."""
    return lambda *words, **options: examine(lab.gateway, *words, control=run.control, **options)


def written(tmp_path, *tables):
    path = tmp_path / "judged.toml"
    path.write_text("".join(tables))
    return path


def test_a_limpid_that_runs_is_well(lab, run, doctor):
    run(*EVERYTHING)
    before = KernelState(lab.gateway)
    assert doctor().wrong() == {}
    assert before == KernelState(lab.gateway), before.difference(KernelState(lab.gateway))


@pytest.mark.parametrize("kind", ["invalid_drop", "masquerade", "both"])
def test_a_limpid_behind_a_firewall_is_well(lab, run, doctor, kind):
    firewalls.use(lab, kind)
    run()
    assert doctor().wrong() == {}


def test_a_configuration_that_nobody_runs_yet(lab, doctor, tmp_path):
    assert doctor("--config", written(tmp_path, intercept(udp=["53"], local=True))).wrong() == {}


def test_one_that_is_wrong_is_refused_at_its_place(lab, tmp_path):
    path = written(tmp_path, "[intercept]\ninterfaces = 7\n")
    done = lab.gateway.run(BINARY, "doctor", "--config", path, check=False)
    assert done.returncode == 2
    assert f"{path}:2:" in done.stderr


def conflicting_rule(lab):
    lab.gateway.ip("rule add fwmark 0x10000000/0x10000000 lookup 77 priority 50")


def foreign_marks(lab):
    lab.gateway.nft(
        """table inet theirs { chain pre { type filter hook prerouting priority -100;
        tcp dport 22 meta mark set meta mark | 0x10000000; }; }"""
    )


CONFLICTS = {
    "a fib rule with our mark": (conflicting_rule, {"fib-conflict": "broken"}),
    "a route in our table": (
        lambda lab: lab.gateway.ip("route add 198.51.100.0/24 dev wan0 table 5300"), {"fib-conflict": "broken"},
    ),
    "a table of our name": (
        lambda lab: lab.gateway.nft("table inet limpid { chain theirs { }; }"), {"fib-conflict": "broken"},
    ),
    "marks of others": (foreign_marks, {"mark-conflict": "broken"}),
    "an input policy": (
        lambda lab: lab.gateway.nft("table inet host { chain in { type filter hook input priority 0; policy drop; }; }"),
        {"input-drop": "warning"},
    ),
    "a drop in prerouting": (
        lambda lab: lab.gateway.nft(
            "table inet host { chain in { type filter hook prerouting priority -400; iifname wan0 accept; drop; }; }"
        ),
        {"decided-first": "warning"},
    ),
    "lo down": (lambda lab: lab.gateway.ip("link set lo down"), {"loopback-down": "broken"}),
    "lan0 down": (lambda lab: lab.gateway.ip("link set lan0 down"), {"interface": "warning"}),
    "IPv6 off": (lambda lab: lab.gateway.sysctl("ipv6.conf.lo.disable_ipv6", 1), {"ipv6": "warning"}),
    "not forwarded": (lambda lab: lab.gateway.sysctl("ipv4.conf.lan0.forwarding", 0), {"forwarding": "broken"}),
    "a forward policy": (
        lambda lab: lab.gateway.nft("table inet host { chain f { type filter hook forward priority 0; policy drop; }; }"),
        {"forward-drop": "warning"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("cause", "wanted"), CONFLICTS.values(), ids=[name.replace(" ", "_") for name in CONFLICTS])
def test_what_stands_in_the_way_of_a_configuration_is_found(lab, doctor, tmp_path, cause, wanted):
    cause(lab)
    assert doctor("--config", written(tmp_path, intercept(udp=["53"]))).wrong() == wanted


def test_what_a_start_refuses_is_what_the_doctor_calls_broken(lab, run, doctor, tmp_path):
    conflicting_rule(lab)
    code, said = run.refused()
    assert code == 1
    (finding,) = doctor("--config", written(tmp_path, intercept())).of("fib-conflict")
    assert finding["what"] in said


def test_an_interface_that_is_not_there(doctor, tmp_path):
    diagnosis = doctor("--config", written(tmp_path, intercept(interfaces=["lan0", "eth9", "docker*"])))
    assert diagnosis.wrong() == {"interface": "warning"}
    assert len(diagnosis.of("interface")) == 2


def test_more_sessions_than_descriptors(doctor, tmp_path):
    config = written(tmp_path, intercept(), limits(sessions=50_000_000))
    (finding,) = doctor("--config", config).of("descriptors")
    assert "50000000" in finding["what"]


@pytest.mark.parametrize("without_us", ["open", "closed"])
def test_what_a_dead_limpid_has_left(lab, run, doctor, without_us):
    limpid = run("--without-us", without_us)
    pids = limpid.kill("watcher", "supervisor", "worker")
    eventually(lambda: limpid.processes_are_gone(pids))
    diagnosis = doctor()
    assert diagnosis.wrong() == {"leftovers": "broken" if without_us == "closed" else "warning"}
    assert diagnosis.of("leftovers")[0]["mend"] == "limpid withdraw"
    run.withdraw()
    assert doctor().wrong() == {}


def test_a_limpid_that_drains_and_one_with_another_configuration(lab, run, doctor, tmp_path):
    limpid = run()
    other = written(tmp_path, intercept(tcp=["443"]))
    diagnosis = doctor("--config", other)
    assert diagnosis.wrong() == {"limpid-state": "warning"}
    assert diagnosis.of("limpid-state")[0]["mend"] == "limpid reload"
    lab.session(FAMILIES[0])
    limpid.signal(signal.SIGTERM)
    eventually(lambda: limpid.status()["state"] == "draining")
    (finding,) = doctor().of("limpid-state")
    assert "draining" in finding["what"]


def test_a_limpid_whose_socket_is_another_is_not_called_dead(lab, run):
    run()
    assert examine(lab.gateway).wrong() == {"limpid-state": "not looked at"}


def test_a_limpid_that_may_not_be_asked(lab, run, doctor):
    run()
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs")
    assert doctor(launcher=nobody).wrong()["limpid-state"] == "not looked at"


def test_a_fib_rule_that_comes_before_that_of_a_running_limpid(lab, run, doctor, family):
    run()
    lab.gateway.ip(f"-{family.version} route add default via {family.server}")
    lab.gateway.ip(f"-{family.version} rule add iif lan0 lookup main priority 50")
    diagnosis = doctor()
    assert diagnosis.wrong() == {"fib-shadowed": "broken"}
    assert "priority" in diagnosis.of("fib-shadowed")[0]["mend"]
    lab.gateway.ip(f"-{family.version} route del default")
    lab.gateway.ip(f"-{family.version} rule del priority 50")


def test_each_finding_has_its_page_and_each_section_its_finding(lab):
    diagnosis = examine(lab.gateway)
    pages = {one["page"] for one in diagnosis.findings}
    assert {page.partition("#")[0] for page in pages} == {"docs/guide/troubleshooting.md"}
    sections = re.findall(r"^## (\S+)$", (DOCS / "docs/guide/troubleshooting.md").read_text(), re.MULTILINE)
    assert sections == [*dict.fromkeys(one["id"] for one in diagnosis.findings), "probe"]


@pytest.mark.parametrize("words", [("--nonsense",), ("surplus",), ("--config",)], ids=lambda words: words[0].strip("-"))
def test_usage_errors_exit_with_2(lab, words):
    assert lab.gateway.run(BINARY, "doctor", *words, check=False).returncode == 2
