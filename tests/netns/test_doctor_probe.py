# SPDX-License-Identifier: MIT
# `limpid doctor --probe`: packets of its own, through the rules as they are, and nothing left of it.
import re
import signal
import subprocess

import pytest
from support import firewalls, tproxy
from support.deadline import eventually
from support.doctor import examine
from support.families import FAMILIES
from support.kernel_state import KernelState
from support.limpid import BINARY
from support.settings import intercept, rule
from test_doctor import listen


@pytest.fixture
def probe(lab, run):
    """What became of the probes: {"a connection over IPv4, forwarded": (severity, what is told)}."""

    def ask(*words):
        before = KernelState(lab.gateway)
        findings = examine(lab.gateway, "--probe", *words, control=run.control).findings
        left = before.difference(KernelState(lab.gateway)).splitlines()
        # Limpid's sets remember flows for a while, these as any other.
        assert not [line for line in left if not re.search("^(---|[+]{3}|@@)|elements = ", line)], "\n".join(left)
        told = {}
        for one in findings:
            if one["id"] == "probe":
                name, _, rest = one["what"].partition(", to port ")
                told[name] = one["severity"], rest
        return told

    return ask


NAMES = [
    f"{what} over {family}, {where}"
    for family in ("IPv4", "IPv6")
    for what in ("a connection", "a datagram")
    for where in ("forwarded", "from this machine")
]


def test_all_of_it_goes_through_a_limpid_that_takes_it(run, probe):
    limpid = run("--udp", "8080", "--local")
    told = probe()
    assert list(told) == NAMES
    assert {severity for severity, _ in told.values()} == {"ok"}, told
    assert "limpid took it; it came to the server, as from 198.19.253.2:" in told["a connection over IPv4, forwarded"][1]
    assert "limpid took it" in told["a connection over IPv6, from this machine"][1]
    assert limpid.counter("accepted") >= 4
    assert limpid.status()["counters"]["udp"]["flows"] >= 4


def test_without_limpid_it_goes_past(probe):
    told = probe()
    assert list(told) == NAMES
    assert all("nobody" in what and severity == "ok" for severity, what in told.values()), told


def test_a_wildcard_interface_is_met_by_its_name(run, probe):
    run("--interface", "client*", defaults=("--tcp", "8080"))
    told = probe()
    assert "limpid took it" in told["a connection over IPv4, forwarded"][1]
    assert "nobody on this machine took it" in told["a connection over IPv4, from this machine"][1]
    assert {severity for severity, _ in told.values()} == {"ok"}


def test_a_firewall_that_drops_what_is_taken_is_seen(lab, run, probe):
    lab.gateway.nft(
        """table inet host { chain in { type filter hook input priority 0; policy drop; iifname lo accept;
        meta l4proto ipv6-icmp accept; }; }"""
    )
    run()
    told = probe()
    for name in NAMES[0], NAMES[4]:
        assert told[name][0] == "broken"
        assert "lost" in told[name][1]


def test_a_rule_that_rejects_is_told_as_a_refusal(run, probe):
    run.configured(intercept(), rule(name="all", action="reject"))
    severity, what = probe()["a connection over IPv4, forwarded"]
    assert severity == "warning"
    assert "refused" in what


def test_rules_that_were_written_by_hand_take_what_they_take(lab, probe):
    for family in FAMILIES:
        listen(lab, family)
    tproxy.lead_to(lab, 9000)
    severity, what = probe()["a connection over IPv4, forwarded"]
    assert "another proxy took it; it was lost" in what  # the listener of this test goes nowhere
    assert severity == "broken"


def test_strict_rp_filter_is_named_and_nothing_is_tried(lab, run, probe):
    run()
    lab.gateway.sysctl("ipv4.conf.lan0.rp_filter", 1)
    ((_, (severity, _)),) = probe().items()
    assert severity == "not looked at"
    lab.gateway.sysctl("ipv4.conf.lan0.rp_filter", 0)


def test_nothing_is_left_of_one_that_is_killed(lab, run):
    firewalls.use(lab, "invalid_drop")
    lab.gateway.nft("insert rule inet firewall input ip saddr 198.19.253.2 drop")
    run()  # so that the first probe waits
    before = KernelState(lab.gateway)
    with lab.gateway.enter():
        doctor = subprocess.Popen([BINARY, "doctor", "--probe", "--socket", run.control], stdout=subprocess.DEVNULL)
    eventually(lambda: "limpid-probe-s" in lab.gateway.ip("link"), 10.0)
    doctor.send_signal(signal.SIGKILL)
    doctor.wait()
    eventually(lambda: before == KernelState(lab.gateway), 5.0, "all as before")
