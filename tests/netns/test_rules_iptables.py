# SPDX-License-Identifier: MIT
# limpid rules print --backend iptables: it loads as printed into both variants of iptables, is listed back as it was, and
# serves. What is in it are the cases of libxt_TPROXY.t and libxt_socket.t.
import json
import re
import socket

import pytest
from support import traffic, udp
from support.firewalls import MASQUERADE
from support.lab import PORT, endpoint
from support.rules import LISTEN, TAKE, accept_from, pass_on, proxied, proxy_listener, proxy_socket

VARIANTS = ("nft", "legacy")
BOTH = ("--interface", "lan0", "--tcp", f"{PORT},9000-9100", "--udp", "53")


@pytest.fixture(params=VARIANTS)
def load(request, lab, rules):
    """load("--conntrack"): what `print` says is in the gateway's kernel, and gone by its own words at the end."""
    undone = []

    def of_variant(text):
        return re.sub(r"\b(ip6?tables)\b", rf"\1-{request.param}", text)

    def load(*words, take=TAKE):
        script = rules.print("--backend", "iptables", *words, take=take).stdout
        lab.gateway.run("sh", text=of_variant(script))
        undone.extend(re.findall(r"^#   (ip.*)$", script, re.MULTILINE))
        return script

    load.command = lambda *words: lab.gateway.run(*map(of_variant, words)).stdout
    yield load
    lab.gateway.run("sh", "-e", text=of_variant("\n".join(undone)))
    for table in "mangle", "raw":
        for tool in "iptables", "ip6tables":
            assert not re.search(r"LIMPID", load.command(f"{tool}-save", "-t", table))
            if request.param == "nft":  # its tables stay when they are empty
                name = "ip" if tool == "iptables" else "ip6"
                lab.gateway.run("nft", "delete", "table", name, table, check=False)


def listed(load, tool, *tables):
    lines = [line for table in tables for line in load.command(f"{tool}-save", "-t", table).splitlines()]
    return [line for line in lines if line.startswith("-A")]


@pytest.mark.parametrize("words", [
    ("--conntrack", "--bypass", "10.9.0.0/16,2001:db8::/32"),
    ("--mark", "0x23/0xff", "--local-mark", "0x100/0x100", "--listen", "192.0.2.1,2001:db8::1"),
], ids=["conntrack", "marks"])  # fmt: skip
def test_what_is_loaded_is_listed_back_as_it_was(load, words):
    script = load(*words, take=BOTH)
    for tool in "iptables", "ip6tables":
        (text,) = re.findall(rf"^{tool}-restore --noflush <<'END_OF_RULES'\n(.*?)END_OF_RULES", script, re.M | re.S)
        printed = [line for line in text.splitlines() if line.startswith("-A")]
        tables = ("raw", "mangle") if "*raw" in text else ("mangle",)
        assert sorted(listed(load, tool, *tables)) == sorted(printed)
        assert any("-j TPROXY --on-port 3129 --on-ip" in line for line in printed)
        assert any(line.endswith("-m socket --transparent -g LIMPID_proxy_divert") for line in printed)


def test_many_ports_become_several_rules(load):
    ports = [str(9000 + 2 * count) for count in range(20)]
    script = load(take=("--interface", "lan0", "--tcp", ",".join([*ports, "10000-10010"])))
    taken = re.findall(r"--dports (\S+) -g LIMPID_proxy_new", script)
    assert len(taken) == 4  # two a family
    assert ",".join(taken[:2]).split(",") == [*ports, "10000:10010"]


def test_a_session_is_transparent_on_both_sides(lab, load, family):
    load()
    listener = proxy_listener(lab, family)
    for _ in range(2):
        proxied(lab, family, listener)
    client, server = lab.session(family, port=8081)
    assert not lab.is_intercepted(client)
    traffic.exchange(client, server)


def test_without_a_listener_clients_wait_in_vain(lab, load, family):
    """What docs/kernel.md says that iptables cannot do otherwise: its TPROXY drops."""
    load()
    with pytest.raises(TimeoutError):
        lab.connect(family, prepare=lambda sock: sock.settimeout(0.3))


def test_behind_masquerade(lab, load, family):
    lab.gateway.nft(MASQUERADE)
    load("--conntrack")
    listener = proxy_listener(lab, family)
    lab.listener(family)
    client = lab.connect(family)
    accepted = accept_from(lab, listener, client)
    upstream, server = pass_on(lab, family, client, accepted)
    assert endpoint(server.getpeername())[0] == family.gateway_wan
    traffic.exchange(client, accepted)
    if family.version == 4:  # of IPv6's source NAT xt_socket knows nothing before Linux 6.15
        traffic.exchange(upstream, server)


def test_datagrams_reach_the_proxy(lab, load, family):
    load(take=("--interface", "lan0", "--udp", str(PORT)))
    taken = proxy_socket(lab, family, socket.SOCK_DGRAM, port=LISTEN)
    client = udp.client(lab, family)
    client.send(b"question")
    data, source = taken.recvfrom(100)
    assert (data, endpoint(source)) == (b"question", endpoint(client.getsockname()))


def test_other_formats_say_the_same(rules):
    script = rules.print("--backend", "iptables").stdout
    told = json.loads(rules.print("--backend", "iptables", "--format", "json").stdout)
    for tool, other in ("iptables", "--no-ipv6"), ("ip6tables", "--no-ipv4"):
        assert told[tool] in script
        assert rules.print("--backend", "iptables", "--format", "iptables", other).stdout == told[tool]
        assert all(f"#   {line}\n" in script for line in told[f"{tool}_undo"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--local", "--user", "64123"), "--local is not for --backend iptables"),
        (("--without-us", "closed"), "--without-us closed is not for --backend iptables"),
        (("--name", "a" * 15), "a name of more than 14 letters"),
        (("--format", "iptables"), "leave one family out, --no-ipv6 or --no-ipv4"),
        (("--format", "nft"), '"nft" is not a format: iptables, shell or json'),
        (("--backend", "pf"), '--backend: "pf" is not a backend: nft or iptables'),
    ],
)
def test_what_it_cannot_do_is_told(rules, words, message):
    done = rules.print(*(() if "--backend" in words else ("--backend", "iptables")), *words, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
