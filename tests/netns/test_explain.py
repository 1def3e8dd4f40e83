# SPDX-License-Identifier: MIT
# `limpid explain`: the story of a packet, against what really becomes of one.
import pytest
from support import firewalls, tproxy, traffic, udp
from support.deadline import stays_silent
from support.families import FAMILIES
from support.kernel_state import KernelState
from support.limpid import BINARY
from support.outcomes import is_reset, nothing_reaches
from support.settings import intercept, rule
from test_doctor import listen

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs")


@pytest.fixture
def explain(lab, run):
    def ask(family, destination=None, port=8080, proto="tcp", interface="lan0", client=None, words=()):
        packet = (
            f"{proto} {family.text(client or family.client, 40123)} -> "
            f"{family.text(destination or family.server, port)} on {interface}"
        )
        return lab.gateway.run(BINARY, "explain", "--socket", run.control, packet, *words).stdout.splitlines()

    return ask


def outcome(lines):
    (line,) = (line for line in lines if line.startswith("=> "))
    return line.removeprefix("=> ")


def test_a_packet_that_limpid_takes(lab, run, explain, family):
    run()
    before = KernelState(lab.gateway)
    with nothing_reaches(lab.server):
        lines = explain(family)
    assert before == KernelState(lab.gateway), before.difference(KernelState(lab.gateway))
    assert outcome(lines).startswith("limpid takes it")
    story = "\n".join(lines)
    for expected in (
        "prerouting:", "  inet limpid clients: ", "tproxy", "its mark is 0x10000000 now", "route:",
        "delivered here, by table 5300", f"ip -{family.version} rule add priority 100 fwmark",
        "socket:", "limpid (pid ", "policy:", "no rule matches: direct",
    ):  # fmt: skip
        assert expected in story, story
    assert story.count("its mark is") == 1
    client, _ = lab.session(family)
    assert lab.is_intercepted(client)


def test_a_datagram_that_limpid_takes(run, explain, family):
    run("--udp", "8080")
    lines = explain(family, proto="udp")
    assert outcome(lines).startswith("limpid takes it")
    assert any("udp" in line and "tproxy" in line for line in lines)


@pytest.mark.parametrize("what", ["bypassed", "another port", "another interface"])
def test_a_packet_that_goes_past(lab, run, explain, family, what):
    run("--bypass", "10.2.0.2/32,fd00:2::2/128" if what == "bypassed" else "192.0.2.7/32")
    lab.gateway.ip("link add lan7 type veth peer name lan8")
    lab.gateway.ip("link set lan7 up\nlink set lan8 up")
    client = family.client
    if what == "another interface":
        lab.gateway.ip(f"-{family.version} route add {family.documentation} dev lan7")
        client = "198.51.100.2" if family.version == 4 else "2001:db8:51::2"
    lines = explain(
        family, port=8081 if what == "another port" else 8080, interface="lan7" if "interface" in what else "lan0",
        client=client,
    )  # fmt: skip
    assert outcome(lines) == "forwarded by wan0: nobody here takes it"
    assert "policy:" not in lines
    lab.gateway.ip("link del lan7")
    if what == "bypassed":
        assert not lab.is_intercepted(lab.session(family)[0])


def test_a_packet_for_this_machine_itself(lab, run, explain, family):
    run()
    assert outcome(explain(family, family.gateway_lan)) == "refused with a reset: nobody listens there"
    assert is_reset(lab, family, address=family.gateway_lan)
    lab.listener(family, lab.gateway)
    lines = explain(family, family.gateway_lan)
    assert outcome(lines).startswith("it is for this machine itself")
    assert any("held by " in line for line in lines)


def test_a_packet_that_has_no_route(explain, family):
    lines = explain(family, "203.0.113.9" if family.version == 4 else "2001:db8:99::9")
    assert outcome(lines).startswith("the kernel drops it")
    assert "unreachable" in outcome(lines)


@pytest.mark.parametrize("action", ["reject", "drop", "direct"])
def test_a_packet_that_the_kernel_decides_about_by_a_rule(lab, run, explain, family, action):
    run.configured(intercept(), rule(name="this one", port=["8080"], action=action), rule(name="rest", action="reject"))
    lines = explain(family)
    words = {"reject": "refused by", "drop": "dropped by", "direct": "forwarded by wan0"}
    assert outcome(lines).startswith(words[action])
    assert f'rule 1 "this one" decides: {action}' in lines
    if action == "reject":
        assert is_reset(lab, family)


def test_a_rule_about_a_name_decides_after_limpid_has_it(run, explain, family):
    run.configured(intercept(), rule(name="ads", host=["*.ads.example"], action="reject"))
    lines = explain(family, words=("--host", "x.ads.example"))
    assert outcome(lines).startswith("limpid takes it")
    assert 'rule 1 "ads" decides: reject' in lines
    assert "no rule matches: direct" in explain(family, words=("--host", "good.example"))


def test_a_configuration_that_is_named_is_asked(run, explain, family, tmp_path):
    run()
    path = tmp_path / "other.toml"
    path.write_text(intercept() + rule(name="theirs", action="reject"))
    assert 'rule 1 "theirs" decides: reject' in explain(family, words=("--config", path))


def test_a_packet_that_this_machine_sends(lab, run, explain, family):
    run("--local", "--udp", "8080")
    server = udp.bound(lab, family)
    for namespace in lab.gateway, lab.client:  # what limpid's sets learn from packets is copied as well
        traffic.exchange(*lab.session(family, namespace=namespace))
        udp.exchange(udp.client(lab, family, namespace=namespace), server)
    assert "expires" in lab.gateway.run("nft", "list", "ruleset").stdout
    for proto in "tcp", "udp":
        lines = explain(family, proto=proto, client=family.gateway_wan, interface="lo")
        assert outcome(lines).startswith("limpid takes it"), lines
        assert not [line for line in lines if "not followed" in line]
        assert "output:" in lines and "prerouting:" in lines
    past = explain(family, port=9, client=family.gateway_wan, interface="lo")
    assert outcome(past) == "sent by wan0: nobody here takes it"


def test_a_packet_that_this_machine_sends_to_itself(lab, explain, family):
    lab.listener(family, lab.gateway)
    lines = explain(family, family.gateway_lan, client=family.gateway_wan, interface="lo")
    assert outcome(lines).startswith("it is for this machine itself")


def test_a_packet_that_a_firewall_drops(lab, run, explain, family):
    lab.gateway.nft(
        "table inet host { chain in { type filter hook input priority 0; policy drop; iifname lo accept; }; }"
    )
    run()
    lines = explain(family)
    assert outcome(lines) == "dropped by the policy of inet host in"
    assert lines.index("input:") > lines.index("route:")


@pytest.mark.parametrize("kind", ["invalid_drop", "masquerade", "both"])
def test_a_packet_behind_a_firewall(lab, run, explain, family, kind):
    firewalls.use(lab, kind)
    run()
    assert outcome(explain(family)).startswith("limpid takes it")
    assert outcome(explain(family, port=8081)) == "forwarded by wan0: nobody here takes it"


def test_rules_that_were_written_by_hand(lab, explain, family):
    tproxy.lead_to(lab, 9000)
    assert outcome(explain(family)) == "forwarded by wan0: nobody here takes it"  # no listener: tproxy does not match
    for one in FAMILIES:
        listen(lab, one)
    lines = explain(family)
    assert outcome(lines).startswith("that socket takes it")
    assert any("transparent, of uid 0, held by" in line for line in lines)
    lab.gateway.ip(f"-{family.version} rule del priority 1000")
    assert outcome(explain(family)).startswith("lost: tproxy has given it a socket")
    with pytest.raises(TimeoutError):  # and so it is
        lab.connect(family, prepare=lambda sock: sock.settimeout(0.3))


def test_rules_of_iptables(lab, explain, family):
    command = "iptables-nft" if family.version == 4 else "ip6tables-nft"
    words = "-t mangle -A PREROUTING -i lan0 -p tcp --dport 8080 -j TPROXY --on-port 9000 --tproxy-mark 0x1/0x1"
    lab.gateway.run(command, *words.split())
    lab.gateway.ip(f"-{family.version} rule add fwmark 1 priority 1000 lookup 100")
    lab.gateway.ip(f"-{family.version} route add local default dev lo table 100")
    assert outcome(explain(family)).startswith("dropped by")  # that TPROXY does, without a listener
    listen(lab, family)
    assert outcome(explain(family)).startswith("that socket takes it")
    lab.gateway.run(command, *"-t mangle -A PREROUTING -p udp -m string --algo bm --string x -j DROP".split())
    (line,) = (line for line in explain(family) if "is not followed" in line)
    assert "mangle" in line


def test_a_listener_that_is_not_transparent_is_not_given_it(lab, explain, family):
    tproxy.lead_to(lab, 9000)
    listen(lab, family, is_transparent=False)
    assert outcome(explain(family)) == "forwarded by wan0: nobody here takes it"


def test_nobody_hears_of_it(lab, run, explain, family):
    limpid = run()
    listener = lab.listener(family)
    explain(family)
    assert stays_silent([listener], 0.1)
    assert limpid.status()["counters"]["accepted"] == 0


@pytest.mark.parametrize(
    "packet",
    [
        "", "tcp", "tcp 10.1.0.2:5000 -> 10.2.0.2:80", "icmp 10.1.0.2:5000 -> 10.2.0.2:80 on lan0",
        "tcp 10.1.0.2 -> 10.2.0.2:80 on lan0", "tcp 10.1.0.2:5000 -> [fd00::1]:80 on lan0",
        "tcp 10.1.0.2:5000 -> example.org:80 on lan0", "tcp 10.1.0.2:5000 -> 10.2.0.2:80 on lan*",
        "tcp 10.1.0.2:5000 <- 10.2.0.2:80 on lan0",
    ],
)  # fmt: skip
def test_what_is_no_packet_is_refused(lab, packet):
    done = lab.gateway.run(BINARY, "explain", packet, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) >= 1


def test_an_interface_that_is_not_there_and_who_is_not_root_are_refused(lab):
    packet = "tcp 10.1.0.2:5000 -> 10.2.0.2:80 on eth9"
    done = lab.gateway.run(BINARY, "explain", packet, check=False)
    assert (done.returncode, done.stderr) == (1, "limpid: there is no interface eth9: see `ip link`\n")
    done = lab.gateway.run(*NOBODY, BINARY, "explain", packet.replace("eth9", "lan0"), check=False)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
