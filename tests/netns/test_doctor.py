# SPDX-License-Identifier: MIT
# `limpid doctor` beside tproxy rules that somebody wrote by hand: each killer caused on purpose and found by its name,
# none found where there is none, and nothing changed by looking.
import contextlib
import socket

import pytest
from support import bridges, firewalls, tproxy
from support.doctor import examine, mend
from support.families import FAMILIES
from support.kernel_state import KernelState
from support.limpid import BINARY

IN = 9000  # of the transparent listener
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs")
_TRANSPARENT = {socket.AF_INET: (socket.IPPROTO_IP, 19), socket.AF_INET6: (socket.IPPROTO_IPV6, 75)}


def listen(lab, family, address=None, port=IN, is_transparent=True, kind=socket.SOCK_STREAM):
    sock = lab.keep(lab.gateway.socket(family.af, kind))
    if is_transparent:
        sock.setsockopt(*_TRANSPARENT[family.af], 1)
    if family.version == 6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind((address or ("0.0.0.0" if family.version == 4 else "::"), port))
    if kind == socket.SOCK_STREAM:
        sock.listen()


@pytest.fixture
def by_hand(lab):
    """TPROXY as people set it up, and who listens behind it."""
    tproxy.lead_to(lab, IN)
    for family in FAMILIES:
        listen(lab, family)
    return lab


def test_nothing_is_found_where_nothing_is_wrong(by_hand):
    before = KernelState(by_hand.gateway)
    diagnosis = examine(by_hand.gateway)
    assert diagnosis.wrong() == {}
    assert before == KernelState(by_hand.gateway), before.difference(KernelState(by_hand.gateway))


def test_nothing_is_found_on_a_machine_with_nothing_on_it(lab):
    assert examine(lab.gateway).wrong() == {}


def test_it_says_what_is_fine_to_people_too(by_hand):
    said = by_hand.gateway.run(BINARY, "doctor", "--socket", "/nonexistent/s").stdout
    lines = [line for line in said.splitlines() if line.startswith("ok ")]
    assert len(lines) >= 30
    assert said.splitlines()[-1].startswith("0 broken, 0 warnings, 0 not looked at")
    by_hand.gateway.ip("rule del priority 1000")
    said = by_hand.gateway.run(BINARY, "doctor", "--socket", "/nonexistent/s", check=False).stdout
    assert "broken         fib-rule: IPv4 packets that come in at lan0" in said
    assert "see docs/guide/troubleshooting.md#fib-rule" in said


def users(lab, words):
    lab.gateway.run("nft", *words.split())


def a_default_route(lab):
    for family in FAMILIES:
        lab.gateway.ip(f"-{family.version} route add default via {family.server}")


def decided_by_routes(lab):
    a_default_route(lab)
    for version in 4, 6:
        lab.gateway.ip(f"-{version} rule add iif lan0 lookup main priority 50")


def over_there(lab):
    for family in FAMILIES:
        lab.gateway.ip(f"-{family.version} route add {family.client} dev wan0")


def strict(lab):
    over_there(lab)
    lab.gateway.sysctl("ipv4.conf.all.rp_filter", 1)


def valid_marks(lab):
    lab.gateway.sysctl("ipv4.conf.all.src_valid_mark", 1)


def a_drop_in_prerouting(lab):
    lab.gateway.nft("table inet strict { chain pre { type filter hook prerouting priority raw; policy drop; }; }")


def a_redirect(lab):
    lab.gateway.nft(
        "table inet other { chain pre { type nat hook prerouting priority dstnat; tcp dport 8080 redirect to :81; }; }"
    )


def the_mark_set_by_another(lab):
    lab.gateway.nft(
        """table inet other { chain pre { type filter hook prerouting priority -100;
        tcp dport 22 meta mark set meta mark | 0x1; }; }"""
    )


# What is done, what must be found and how bad it is, and whether the commands that are named mend it.
KILLERS = {
    "ip rule missing": (lambda lab: lab.gateway.ip("rule del priority 1000"), {"fib-rule": "broken"}, True),
    "ip -6 rule missing": (lambda lab: lab.gateway.ip("-6 rule del priority 1000"), {"fib-rule": "broken"}, True),
    "route missing": (
        lambda lab: lab.gateway.ip("route flush table 100"), {"fib-route": "broken"}, True,
    ),
    "route missing and a default one": (
        lambda lab: (a_default_route(lab), lab.gateway.ip("-6 route flush table 100")), {"fib-route": "broken"}, True,
    ),
    "ip rule shadowed": (decided_by_routes, {"fib-shadowed": "broken"}, False),
    "src_valid_mark": (valid_marks, {"src-valid-mark": "broken"}, False),
    "rp_filter": (strict, {"rp-filter": "broken", "return-path": "warning"}, False),
    "another way back": (over_there, {"return-path": "warning"}, False),
    "not forwarded": (lambda lab: lab.gateway.sysctl("ipv4.ip_forward", 0), {"forwarding": "broken"}, True),
    "IPv6 not forwarded": (
        lambda lab: lab.gateway.sysctl("ipv6.conf.all.forwarding", 0), {"forwarding": "broken"}, True,
    ),
    "IPv6 off on the interface": (
        lambda lab: lab.gateway.sysctl("ipv6.conf.lan0.disable_ipv6", 1), {"ipv6": "warning"}, True,
    ),
    "lo down": (
        lambda lab: lab.gateway.ip("link set lo down"),
        {"loopback-down": "broken", "fib-route": "broken"}, False,
    ),
    "no timestamps": (lambda lab: lab.gateway.sysctl("ipv4.tcp_timestamps", 0), {"timestamps": "warning"}, True),
    "cookies always": (lambda lab: lab.gateway.sysctl("ipv4.tcp_syncookies", 2), {"syn-cookies": "broken"}, True),
    "few ports": (
        lambda lab: lab.gateway.sysctl("ipv4.ip_local_port_range", "40000 41000"), {"port-range": "warning"}, True,
    ),
    "a port of everybody's": (
        lambda lab: lab.gateway.sysctl("ipv4.ip_local_port_range", "1024 60999"), {"port-range": "warning"}, True,
    ),
    "accepted before": (
        lambda lab: users(lab, 'insert rule inet users prerouting iifname lan0 counter accept'),
        {"decided-first": "broken"}, False,
    ),
    "dropped before": (a_drop_in_prerouting, {"decided-first": "broken"}, False),
    "redirected": (a_redirect, {"decided-first": "warning"}, False),
    "divert first": (
        lambda lab: users(lab, "insert rule inet users prerouting socket transparent 1 meta mark set 0x1 accept"),
        {"divert-order": "warning"}, False,
    ),
    "the mark of another": (the_mark_set_by_another, {"mark-conflict": "warning"}, False),
    "a firewall": (
        lambda lab: lab.gateway.nft(firewalls.FIREWALL.format(accept_ours="")),
        {"input-drop": "warning", "conntrack-invalid": "warning"}, False,
    ),
    "masquerade": (lambda lab: lab.gateway.nft(firewalls.MASQUERADE), {"masquerade": "warning"}, False),
}  # fmt: skip


@pytest.mark.parametrize(("cause", "wanted", "is_mended"), KILLERS.values(), ids=[n.replace(" ", "_") for n in KILLERS])
def test_what_stands_in_the_way_is_found(by_hand, cause, wanted, is_mended):
    cause(by_hand)
    diagnosis = examine(by_hand.gateway)
    assert diagnosis.wrong() == wanted
    if is_mended:
        for identity in wanted:
            for finding in diagnosis.of(identity):
                mend(by_hand.gateway, finding)
        assert examine(by_hand.gateway).wrong() == {}


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (None, "listener-missing"),
        ({"is_transparent": False}, "listener-not-transparent"),
        ({"address": "loopback"}, "listener-address"),
    ],
    ids=["nobody", "not_transparent", "on_loopback"],
)
def test_a_listener_that_tproxy_does_not_find(lab, family, options, wanted):
    tproxy.lead_to(lab, IN)
    for one in FAMILIES:
        if one is not family:
            listen(lab, one)
        elif options is not None:
            words = {**options, "address": family.loopback} if "address" in options else options
            listen(lab, one, **words)
    diagnosis = examine(lab.gateway)
    assert diagnosis.wrong() == {wanted: "broken"}
    assert ("IPv4" if family.version == 4 else "IPv6") in diagnosis.of(wanted)[0]["what"]
    with pytest.raises(OSError):  # that is what it is about: nobody has taken it, and nobody is there
        lab.connect(family)


def test_a_listener_on_the_address_that_the_rule_names_is_found(lab):
    lab.gateway.nft(
        f"""table ip users {{ chain pre {{ type filter hook prerouting priority mangle;
        iifname {{ "lan0", "lan1" }} tcp dport {{ 80, 8080 }} tproxy to 127.0.0.1:{IN} meta mark set 0x1 accept; }}; }}
        table ip6 users {{ chain pre {{ type filter hook prerouting priority mangle;
        iifname "lan*" tcp dport 8080 tproxy to [::1]:{IN} meta mark set 0x1 accept; }}; }}"""
    )
    for family in FAMILIES:
        lab.gateway.ip(f"-{family.version} rule add fwmark 1 priority 1000 lookup 100")
        lab.gateway.ip(f"-{family.version} route add local default dev lo table 100")
        listen(lab, family, family.loopback)
    assert examine(lab.gateway).wrong() == {}


def test_rules_for_one_family_alone(lab):
    tproxy.lead_to(lab, IN)
    listen(lab, FAMILIES[0])
    lab.gateway.run("nft", "flush", "table", "inet", "users")
    lab.gateway.run(
        "nft", "add", "rule", "inet", "users", "prerouting", "iifname", "lan0", "tcp", "dport", "8080",
        "tproxy", "ip", "to", f":{IN}", "meta", "mark", "set", "1", "accept",
    )  # fmt: skip
    diagnosis = examine(lab.gateway)
    assert diagnosis.wrong() == {"ipv6": "warning"}
    assert "IPv6" in diagnosis.of("ipv6")[0]["what"]


def test_a_bridge_that_hands_its_packets_to_iptables(lab):
    for family in FAMILIES:
        listen(lab, family)
    tproxy.lead_to(lab, IN, interface="br0")
    bridges.put_client_behind_a_bridge(lab)
    assert examine(lab.gateway).wrong() == {"bridge-netfilter": "broken"}
    mend(lab.gateway, examine(lab.gateway).of("bridge-netfilter")[0])
    assert examine(lab.gateway).wrong() == {}


def test_a_service_on_a_port_that_is_answered_from(lab, family):
    lab.gateway.ip(f"-{family.version} rule add fwmark 1 priority 1000 lookup 100")
    lab.gateway.ip(f"-{family.version} route add local default dev lo table 100")
    lab.gateway.nft(
        f"""table inet users {{ chain pre {{ type filter hook prerouting priority mangle;
        udp dport 53 tproxy {"ip" if family.version == 4 else "ip6"} to :{IN} meta mark set 0x1 accept; }}; }}"""
    )
    listen(lab, family, kind=socket.SOCK_DGRAM)
    assert set(examine(lab.gateway).wrong()) == {"ipv6"}
    listen(lab, family, port=53, is_transparent=False, kind=socket.SOCK_DGRAM)
    assert set(examine(lab.gateway).wrong()) == {"ipv6", "local-service"}


def test_rules_of_iptables_are_seen(lab, family):
    # Debian's iptables writes nftables; nft(8) tells of its TPROXY in words of its own.
    command = "iptables-nft" if family.version == 4 else "ip6tables-nft"
    words = f"-t mangle -A PREROUTING -i lan0 -p tcp --dport 8080 -j TPROXY --on-port {IN} --tproxy-mark 0x1/0x1"
    lab.gateway.run(command, *words.split())
    lab.gateway.ip(f"-{family.version} rule add fwmark 1 priority 1000 lookup 100")
    lab.gateway.ip(f"-{family.version} route add local default dev lo table 100")
    assert examine(lab.gateway).wrong()["listener-missing"] == "broken"
    listen(lab, family)
    assert set(examine(lab.gateway).wrong()) == {"ipv6"}
    lab.gateway.ip(f"-{family.version} rule del priority 1000")
    assert set(examine(lab.gateway).wrong()) == {"ipv6", "fib-rule"}


def test_legacy_iptables_is_not_looked_at(by_hand):
    with contextlib.ExitStack() as undo:
        by_hand.gateway.run("iptables-legacy", "-t", "filter", "-A", "INPUT", "-j", "ACCEPT")
        undo.callback(by_hand.gateway.run, "iptables-legacy", "-t", "filter", "-F", "INPUT")
        assert examine(by_hand.gateway).wrong() == {"legacy-iptables": "not looked at"}


def test_a_container_that_lacks_a_capability(by_hand):
    diagnosis = examine(by_hand.gateway, launcher=("setpriv", "--bounding-set", "-net_raw"))
    assert diagnosis.wrong() == {"capabilities": "broken", "kernel-features": "broken"}
    assert "CAP_NET_RAW" in diagnosis.of("capabilities")[0]["what"]
    assert all("datagrams" in one["what"] for one in diagnosis.of("kernel-features"))


def test_few_descriptors(by_hand):
    assert examine(by_hand.gateway, launcher=("prlimit", "--nofile=512")).wrong() == {"descriptors": "warning"}


def test_without_root_what_cannot_be_seen_is_not_called_fine(by_hand):
    by_hand.gateway.ip("rule del priority 1000")
    by_hand.gateway.sysctl("ipv4.tcp_timestamps", 0)
    before = KernelState(by_hand.gateway)
    diagnosis = examine(by_hand.gateway, launcher=NOBODY)
    wrong = diagnosis.wrong()
    assert wrong["timestamps"] == "warning"  # which anybody may see
    unseen = {name for name, severity in wrong.items() if severity == "not looked at"}
    assert {
        "kernel-features", "mark-conflict", "fib-conflict", "input-drop", "forward-drop", "decided-first",
        "conntrack-invalid", "masquerade", "flowtable", "fib-rule", "fib-route", "fib-shadowed", "listener-missing",
        "listener-address", "listener-not-transparent", "divert-order", "local-service", "syn-cookies",
        "legacy-iptables", "leftovers", "src-valid-mark",
    } <= unseen  # fmt: skip
    assert not diagnosis.is_broken
    assert before == KernelState(by_hand.gateway)
