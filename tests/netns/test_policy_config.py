# SPDX-License-Identifier: MIT
# Rules and upstreams as an operator writes them: errors that say where, and `limpid decide`, which says what would
# happen.
import re
import subprocess

import pytest
from support.limpid import BINARY
from support.settings import intercept, rule, upstream

OFFICE = {"name": "office", "type": "socks5", "address": ["192.0.2.7:1080"]}
HEAD = '[intercept]\ninterfaces = ["lan0"]\ntcp = ["443"]\n'  # three lines
RULE = HEAD + '[[rule]]\naction = "reject"\n'  # what is added is line 6
UPSTREAM = HEAD + '[[upstream]]\nname = "office"\ntype = "socks5"\naddress = ["192.0.2.7:1080"]\n'  # line 8
FIXED = UPSTREAM.replace("socks5", "fixed")
UDP = '[[rule]]\nproto = "udp"\naction = "office"\n'
ANY = None  # of a column: where in the line is the product's choice
# Each bad file, and what must be said of it: line, column, and words of the message.
BAD = {
    "an unknown key of a rule": (RULE + 'hots = ["a.example"]\n', [(6, 1, "hots")]),
    "an unknown action": (RULE.replace("reject", "offcie"), [(5, 10, "offcie")]),
    "no action": (HEAD + '[[rule]]\nhost = ["a.example"]\n', [(4, ANY, "action")]),
    "a client with host bits": (RULE + 'from = ["10.1.0.0/16", "10.1.2.3/8"]\n', [(6, 24, "10.1.2.3/8")]),
    "a destination that is a name": (RULE + 'to = ["a.example"]\n', [(6, 7, "a.example")]),
    "a port that is a name": (RULE + 'port = ["https"]\n', [(6, 9, "https")]),
    "an unknown protocol": (RULE + 'proto = "sctp"\n', [(6, 9, "sctp")]),
    "an unknown application": (RULE + 'app = ["tls", "smtp"]\n', [(6, 15, "smtp")]),
    "a time that is none": (RULE + 'time = "25:00-06:00"\n', [(6, 8, "25:00-06:00")]),
    "a time without an end": (RULE + 'time = "22:00"\n', [(6, 8, "22:00")]),
    "every host": (RULE + 'host = ["a.example", "*"]\n', [(6, 22, "leave host out")]),
    "a star in a label": (RULE + 'host = ["b*d.example"]\n', [(6, 9, "b*d.example")]),
    "a host beyond ASCII": (RULE + 'host = ["b\u00fccher.example"]\n', [(6, 9, "xn--")]),
    "a host with a port": (RULE + 'host = ["a.example:443"]\n', [(6, 9, "a.example:443")]),
    "a host file that is missing": (RULE + 'host_file = "/missing/list"\n', [(6, 13, "/missing/list")]),
    "verified hosts without DNS": (RULE.replace("reject", "direct") + 'host = ["a.example"]\nverify_host = true\n',
                                   [(7, 15, '--udp 53')]),
    "verified hosts without a host": (RULE + 'verify_host = true\n', [(6, 15, "host_file"), (6, 15, "let a flow go")]),
    "an unknown key of an upstream": (UPSTREAM + 'pasword_file = "/x"\n', [(8, 1, "pasword_file")]),
    "an unknown type": (UPSTREAM.replace("socks5", "socks4"), [(6, 8, "socks4")]),
    "no type": (UPSTREAM.replace('type = "socks5"\n', ""), [(4, ANY, "type")]),
    "no name": (UPSTREAM.replace('name = "office"\n', ""), [(4, ANY, "name")]),
    "no address": (UPSTREAM.replace('address = ["192.0.2.7:1080"]\n', ""), [(4, ANY, "address")]),
    "an address without a port": (UPSTREAM.replace(":1080", ""), [(7, 12, "192.0.2.7")]),
    "an upstream that is called as an action is": (UPSTREAM.replace("office", "direct"), [(5, 8, "direct")]),
    "an upstream twice": (UPSTREAM + UPSTREAM.removeprefix(HEAD), [(9, 8, "office")]),
    "neither address nor host": (UPSTREAM + 'send = "name"\n', [(8, 8, "name")]),
    "no such way out": (UPSTREAM + 'when_down = "ignore"\n', [(8, 13, "ignore")]),
    "a version of the PROXY protocol that is none": (FIXED + 'proxy_protocol = "v3"\n', [(8, 18, "v3")]),
    "a check of another kind": (UPSTREAM + 'check = "ping"\n', [(8, 9, "ping")]),
    "a handshake with a fixed upstream": (FIXED + 'check = "handshake"\n', [(8, 9, "is for socks5")]),
    "datagrams through HTTP CONNECT": (UPSTREAM.replace("socks5", "http-connect") + UDP, [(10, 10, "no datagrams")]),
    "datagrams with a PROXY header": (
        FIXED + 'proxy_protocol = "v2"\n' + UDP, [(11, 10, "proxy_protocol is for streams")]
    ),
    "datagrams as the client": (UPSTREAM + 'source = "client"\n' + UDP, [(11, 10, 'source = "self"')]),
    "a timeout of nothing": (HEAD + '[limits]\nidentify_timeout = "0s"\n', [(5, 20, "0s")]),
    "several errors at once": (
        RULE.replace("reject", "offcie") + 'app = ["smtp"]\n' + '[[upstream]]\nname = "x"\ntype = "y"\naddress = []\n',
        [(5, 10, "offcie"), (6, 8, "smtp"), (9, 8, "y")],
    ),
}  # fmt: skip


def limpid(verb, path, *words):
    command = [BINARY, verb, "--config", path, *words]
    return subprocess.run([str(word) for word in command], text=True, capture_output=True, timeout=20)


def complaints(path, text):
    path.write_text(text)
    done = limpid("check", path)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    return done.stderr


@pytest.mark.parametrize(("text", "expected"), BAD.values(), ids=[name.replace(" ", "_") for name in BAD])
def test_errors_say_file_line_and_column(tmp_path, text, expected):
    path = tmp_path / "limpid.toml"
    said = complaints(path, text)
    found = re.findall(rf"^{re.escape(str(path))}:(\d+):(\d+): (.+)$", said, re.MULTILINE)
    for line, column, words in expected:
        at = [message for there, where, message in found if int(there) == line and column in (ANY, int(where))]
        assert any(words in message for message in at), said


def test_errors_of_a_host_file_say_its_own_lines(tmp_path):
    path = tmp_path / "list"
    path.write_text("good.example\n0.0.0.0 also.good b*d.example\n" + "two words\n" * 20)
    said = complaints(tmp_path / "limpid.toml", RULE + f'host_file = "{path}"\n')
    assert f"{path}:2:19: " in said and "b*d.example" in said
    assert "more" in said  # not all of them
    assert len(said.splitlines()) < 20


def test_a_password_file_that_others_may_read_is_refused(run, tmp_path):
    secret = tmp_path / "office.secret"
    secret.write_text("hunter2\n")
    path = tmp_path / "limpid.toml"
    path.write_text(intercept() + upstream(**OFFICE, username="u", password_file=str(secret)))
    for mode in 0o644, 0o604:
        secret.chmod(mode)
        code, said = run.refused("--config", path, defaults=())
        assert code in (1, 2)
        assert str(secret) in said and "hunter2" not in said
    secret.chmod(0o600)
    run("--config", path, defaults=())


def test_a_password_file_that_is_missing_is_named(run, tmp_path):
    path = tmp_path / "limpid.toml"
    path.write_text(intercept() + upstream(**OFFICE, username="u", password_file=str(tmp_path / "missing")))
    code, said = run.refused("--config", path, defaults=())
    assert code in (1, 2)
    assert str(tmp_path / "missing") in said


def test_every_key_of_the_manual_is_accepted(tmp_path):
    secret = tmp_path / "office.secret"
    secret.write_text("hunter2\n")
    secret.chmod(0o600)
    (tmp_path / "list").write_text("tracker.example\n")
    path = tmp_path / "limpid.toml"
    path.write_text(
        HEAD
        + 'udp = ["53"]\n'
        + '[limits]\nidentify_timeout = "300ms"\nverify_host_grace = "1m"\n'
        + upstream(name="office", type="socks5", address=["192.0.2.7:1080", "[2001:db8::8]:1080"], username="u",
                   password_file=str(secret), send="host", when_down="reject")
        + upstream(name="other", type="http-connect", address=["192.0.2.7:3128"], send="address", when_down="direct")
        + upstream(name="web", type="fixed", address=["198.51.100.10:8080"], proxy_protocol="v2", when_down="drop")
        + rule(name="no ads", host=["*.ads.example", "tracker.example"], action="reject")
        + rule(host_file=str(tmp_path / "list"), action="drop")
        + rule(host=["*.example.com"], verify_host=True, action="direct")
        + rule(from_=["10.1.0.0/16"], to=["203.0.113.0/24", "2001:db8::/32"], port=["443", "8000-8999"], proto="tcp",
               app=["tls", "http", "quic", "ssh", "unknown"], time="22:00-06:00", action="office")
        + rule(proto="udp", action="direct")
        + rule(action="web")
    )  # fmt: skip
    done = limpid("check", path)
    assert done.returncode == 0, done.stderr


# limpid decide

POLICY = (
    HEAD
    + upstream(**OFFICE)
    + rule(name="no ads", host=["*.ads.example"], action="reject")
    + rule(name="no quic", app=["quic"], proto="udp", action="drop")
    + rule(name="guests", from_=["10.1.0.0/16", "fd00:1::/64"], port=["443"], proto="tcp", action="office")
    + rule(name="printers", to=["203.0.113.0/24"], action="direct")
)
GUEST = ("--client", "10.1.2.3:5000", "--to", "203.0.113.9:443")
STAFF = ("--client", "10.9.2.3:5000", "--to", "203.0.113.9:443")
DECISIONS = {
    "by host": ((*GUEST, "--host", "x.ads.example"), "no ads", "reject"),
    "by host however it is written": ((*GUEST, "--host", "X.Ads.Example."), "no ads", "reject"),
    "by application": ((*GUEST, "--proto", "udp", "--app", "quic"), "no quic", "drop"),
    "by client": ((*GUEST, "--host", "good.example", "--app", "tls"), "guests", "office"),
    "by client of IPv6": (("--client", "[fd00:1::2]:5", "--to", "[2001:db8::9]:443"), "guests", "office"),
    "by destination": ((*STAFF, "--host", "good.example"), "printers", "direct"),
    "by none": ((*STAFF[:3], "198.51.100.1:443", "--host", "good.example"), None, "direct"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("words", "name", "action"), DECISIONS.values(), ids=[key.replace(" ", "_") for key in DECISIONS]
)
def test_decide_says_which_rule_decides_what(tmp_path, words, name, action):
    path = tmp_path / "limpid.toml"
    path.write_text(POLICY)
    done = limpid("decide", path, *words)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(rf"\b{action}\b", done.stdout), done.stdout
    assert name is None or name in done.stdout, done.stdout


@pytest.mark.parametrize(
    "words",
    [
        (),
        GUEST[:2],
        GUEST[2:],
        ("--client", "nobody:5000", *GUEST[2:]),
        (*GUEST[:2], "--to", "203.0.113.9"),
        (*GUEST, "--app", "smtp"),
        (*GUEST, "--proto", "sctp"),
    ],
    ids=["nothing", "no_destination", "no_client", "client", "no_port", "app", "proto"],
)
def test_decide_refuses_a_flow_that_is_none(tmp_path, words):
    path = tmp_path / "limpid.toml"
    path.write_text(POLICY)
    done = limpid("decide", path, *words)
    assert done.returncode == 2
    assert done.stderr.strip() and done.stdout == ""
