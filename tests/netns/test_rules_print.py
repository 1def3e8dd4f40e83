# SPDX-License-Identifier: MIT
# limpid rules print: it loads as printed, and what the kernel then has is what `install` makes. The cases of nftables'
# own tproxy.t, and of iptables' libxt_TPROXY.t and libxt_socket.t, as far as a set-up has a use for them.
import json
import re
import subprocess

import pytest
from support.limpid import BINARY
from support.rules import LISTEN, TAKE

SET_UPS = {
    "both": ("--interface", "lan0,wg*", "--tcp", "80,8000-8999", "--udp", "all"),
    "closed": (*TAKE, "--udp", "443", "--without-us", "closed", "--local", "--user", "64123"),
    "ipv4": (*TAKE, "--no-ipv6", "--bypass", "10.0.0.0/8,2001:db8::/32", "--bypass-from", "192.0.2.7"),
    "numbers": ("--interface", "lan0", "--udp", "53", "--mark", "0x1/0x1", "--local-mark", "0x2/0x2", "--table", "100",
                "--priority", "1000"),
}  # fmt: skip


def printed(*words, check=True):
    """By somebody without any privilege, in no namespace of the test's."""
    who = ("setpriv", "--reuid", "65534", "--clear-groups", "--bounding-set=-all")
    port = () if "--port" in words else ("--port", LISTEN)
    command = [*who, BINARY, "rules", "print", *port, *words]
    return subprocess.run([str(word) for word in command], text=True, capture_output=True, check=check, timeout=30)


def state(lab):
    ruleset = lab.gateway.run("nft", "list", "ruleset").stdout
    return [ruleset] + [lab.gateway.ip(f"-{version} {what}") for version in (4, 6)
                        for what in ("-details rule show", "-details route show table all")]  # fmt: skip


@pytest.mark.parametrize("words", SET_UPS.values(), ids=SET_UPS)
def test_what_is_printed_is_what_install_makes(lab, rules, words):
    rules.install("proxy", take=words)
    installed = state(lab)
    rules.command("remove", "proxy")
    script = printed(*words).stdout
    lab.gateway.run("sh", text=script)
    assert state(lab) == installed
    rules.command("remove", "proxy")
    # The same from the other formats: the commands, then the file.
    told = json.loads(printed(*words, "--format", "json").stdout)
    nft = printed(*words, "--format", "nft").stdout
    commands = re.findall(r"^#   (ip .*)$", nft, re.MULTILINE)
    assert commands == told["ip"] and nft.endswith(told["nft"])
    lab.gateway.run("sh", "-e", text="\n".join(commands))
    for _ in range(2):  # a second time it takes the first one's place
        lab.gateway.nft(nft)
    assert state(lab) == installed
    # Taken back by hand, as the script says.
    undo = re.findall(r"^#   ((?:ip|nft) .*)$", script, re.MULTILINE)
    assert undo[-len(told["undo"]) :] == told["undo"]
    lab.gateway.run("sh", "-e", text="\n".join(undo))
    assert not lab.state_difference()


def test_conntrack_and_the_clients_zone(lab, rules):
    lab.remember_state()
    script = printed(*TAKE, "--conntrack").stdout
    assert "ct zone set 5300" in script and "ct " not in printed(*TAKE).stdout
    lab.gateway.run("sh", text=script)
    rules.command("remove", "proxy")
    assert not lab.state_difference()


# tproxy.t: which statements there are, and in which form nft tells them back.
TPROXY = {
    "tproxy ip to 127.0.0.1:3129": (),
    "tproxy ip6 to [::1]:3129": (),
    "tproxy ip to 192.0.2.1:3129": ("--listen", "192.0.2.1"),
    "tproxy ip6 to [2001:db8::1]:3129": ("--listen", "2001:db8::1"),
    "tproxy ip to 127.0.0.1:65535": ("--port", "65535"),
    "tproxy ip to 127.0.0.1:1": ("--port", "1"),
}


def test_each_tproxy_statement_is_told_back(lab):
    table = ("table", "inet", "limpid_rules_proxy")
    for proto in "tcp", "udp":
        for statement, words in TPROXY.items():
            lab.gateway.nft(printed("--format", "nft", *words, "--interface", "lan0", f"--{proto}", "80").stdout)
            listing = lab.gateway.run("nft", "list", *table).stdout
            marked = re.escape(f"{statement} meta mark set meta mark & 0xf1ffffff | 0x01000000 accept")
            assert re.search(rf"meta l4proto {proto} {marked}", listing), listing
            assert all(re.search(r"tproxy ip6? to \S+:\d+", line) for line in listing.splitlines() if "tproxy" in line)


def test_the_socket_matches_are_told_back(lab, rules):
    """libxt_socket.t: --transparent, without listeners on all addresses, which iptables leaves out unless --nowildcard."""
    rules.install("proxy")
    listing = lab.gateway.run("nft", "list", "table", "inet", "limpid_rules_proxy").stdout
    matches = [line.split()[:3] for line in listing.splitlines() if line.strip().startswith("socket ")]
    assert matches == [["socket", "wildcard", "1"], ["socket", "transparent", "1"]]
    assert "socket mark" not in listing
    rules.command("remove", "proxy")


# What cannot be: told with its option, before anything is printed or done.
WRONG = {
    "no port": ((*TAKE,), "--port: say which port the proxy listens on"),
    "port 0": ((*TAKE, "--port", "0"), '--port: "0" is not a port (1 to 65535)'),
    "a large port": ((*TAKE, "--port", "65536"), '--port: "65536" is not a port (1 to 65535)'),
    "a range": ((*TAKE, "--port", "1-2"), '--port: "1-2" is a range: the proxy listens on one port'),
    "nothing to take": (("--port", "1", "--interface", "lan0"), "nothing to intercept: name the destination ports"),
    "nowhere": (("--port", "1", "--tcp", "80"), "nothing to intercept: name the interfaces"),
    "no family": ((*TAKE, "--port", "1", "--no-ipv4", "--no-ipv6"), "--ipv4: neither family is left"),
    "no address": ((*TAKE, "--port", "1", "--listen", "localhost"), "--listen: "),
    "two addresses": ((*TAKE, "--port", "1", "--listen", "10.1.0.1,10.1.0.2"), "--listen: one address a family"),
    "a family that is off": ((*TAKE, "--port", "1", "--no-ipv6", "--listen", "::1"), "which is switched off"),
    "a name": ((*TAKE, "--port", "1", "--name", "a b"), 'NAME: "a b" is not a name of rules'),
    "a long name": ((*TAKE, "--port", "1", "--name", "a" * 25), "is not a name of rules: 1 to 24"),
    "a user": ((*TAKE, "--port", "1", "--user", "nobody-here"), '--user: there is no user "nobody-here"'),
    "local without a user": (("--port", "1", "--tcp", "80", "--local"), "--user: --local needs to know"),
    "half of the marks": ((*TAKE, "--port", "1", "--mark", "0x2000000/0x2000000"), "give both, --mark and --local-mark"),
    "a format": ((*TAKE, "--port", "1", "--format", "yaml"), '--format: "yaml" is not a format'),
    "an option of run": ((*TAKE, "--port", "1", "--own-mark", "0x1/0x1"), "--own-mark"),
}


@pytest.mark.parametrize(("words", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told(words, message):
    command = [str(word) for word in (BINARY, "rules", "print", *words)]
    done = subprocess.run(command, text=True, capture_output=True, timeout=30)
    assert (done.returncode, done.stdout) == (2, ""), done
    assert message in done.stderr


def test_all_that_is_wrong_is_told_at_once():
    command = [BINARY, "rules", "install", "a/b", "--port", "x", "--tcp", "y", "--interface", "lo"]
    done = subprocess.run(command, text=True, capture_output=True, timeout=30)
    assert done.returncode == 2
    for place in "NAME", "--port", "--tcp", "--interface":
        assert f"{place}: " in done.stderr
