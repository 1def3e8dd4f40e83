# SPDX-License-Identifier: MIT
# The recipes of docs/guide do what the pages say. Addresses and files of the pages become those of the lab.
import pathlib
import re
import shlex

import pytest
from support import balancers, traffic, upstreams, web
from support.deadline import eventually
from support.lab import endpoint
from support.outcomes import is_reset
from support.settings import intercept

GUIDE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "guide"


def recipe(page, here):
    """The page's configuration, with what is `here` in place of what the page has."""
    (text,) = re.findall(r"```toml\n(.*?)```", (GUIDE / page).read_text(), re.DOTALL)
    for old, new in here.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def test_a_gateway_that_filters(lab, run, tmp_path, family):
    blocked = tmp_path / "blocked"
    blocked.write_text("0.0.0.0 blocked.example\n*.blocked.example\n")
    text = recipe("gateway-filter.md", {"/etc/limpid/blocked": str(blocked), '"8080"': '"8080", "8443"'})
    limpid = run.configured(text)
    with web.website(lab.server, tmp_path):
        for host, is_refused in {
            "blocked.example": True, "www.blocked.example": True, "x.ads.example": True, "good.example": False,
        }.items():  # fmt: skip
            visited = web.visit(lab.client, family, "tls1.3", host)
            assert web.is_reset(visited) if is_refused else web.is_answered(visited, "tls1.3", host), visited
        refused = {line["host"]: line["rule"] for line in limpid.sessions_logged(4) if line["reason"] == "rejected"}
        assert refused == {"blocked.example": "lists", "www.blocked.example": "lists", "x.ads.example": "no ads"}
    lab.client.ip(f"address add {family.second_client} dev eth0 {'nodad' if family.version == 6 else ''}")
    printer = family.second_client.partition("/")[0]
    with pytest.raises(ConnectionRefusedError):
        lab.connect(family, prepare=lambda sock: sock.bind((printer, 0)))


def test_a_gateway_into_a_socks_proxy(lab, run, tmp_path, family):
    other = lab.add_other_server()
    secret = tmp_path / "secret"
    secret.write_text("correct-horse\n")
    secret.chmod(0o600)
    proxy, nobody = (family.text(family.other_server, port) for port in (upstreams.SOCKS, upstreams.SOCKS + 1))
    here = {"/etc/limpid/office.secret": str(secret), "192.0.2.7:1080": nobody, "192.0.2.8:1080": proxy}
    with upstreams.microsocks(other, tmp_path, username="u", password="correct-horse"):
        limpid = run.configured(recipe("socks-gateway.md", here))
        for _ in range(3):
            client, server = lab.session(family)
            assert server.getpeername()[0] == family.other_server
            traffic.exchange(client, server)
            traffic.finish(client, server)
        assert {line["upstream"] for line in limpid.sessions_logged(3)} == {"office"}
    assert is_reset(lab, family)
    assert limpid.close_reason("upstream_failed") == 1


def test_servers_behind_a_load_balancer(lab, run, tmp_path, family):
    balancer = lab.add_other_server()
    here = {
        '"192.0.2.10", "2001:db8::10"': '"10.3.0.2", "fd00:3::2"',
        "0.0.0.0:8443": "0.0.0.0:9443",
        "[::]:8443": "[::]:9443",
        "127.0.0.1:443": "127.0.0.1:8080",
        "[::1]:443": "[::1]:8080",
    }
    limpid = run.configured(recipe("mmproxy.md", here))
    back = family.text("10.3.0.1" if family.version == 4 else "fd00:3::1", 9443)
    with web.website(lab.gateway, tmp_path), balancers.haproxy(balancer, tmp_path, back, "v2"):
        client = lab.connect(family, family.other_server, balancers.FRONT)
        client.sendall(b"GET / HTTP/1.1\r\nHost: any.example\r\nConnection: close\r\n\r\n")
        assert traffic.receive_all(client).endswith(b"- HTTP/1.1 any.example\n")
        who = family.text(*endpoint(client.getsockname()))
        client.close()

        def lines():
            return [line for line in limpid.access_log() if line["client"] == who]

        (line,) = eventually(lines, what="the session in the log")
        assert (line["upstream"], line["source_kept"]) == ("server", "port")
    assert is_reset(lab, family, address=family.gateway_lan, port=9443)  # who is not trusted


def test_one_port_to_one_place(lab, run, family):
    here = {
        "0.0.0.0:8080": "0.0.0.0:8088",
        "[::]:8080": "[::]:8088",
        "192.0.2.9:80": "10.2.0.2:8080",
        "[2001:db8::9]:80": "[fd00:2::2]:8080",
    }
    run.configured(recipe("tcprdr.md", here))
    lab.listener(family)
    client = lab.connect(family, family.gateway_lan, 8088)
    client.sendall(b"hello")
    server = lab.accept(family)
    while server.recv(5) != b"hello":  # a health check
        server = lab.accept(family)
    traffic.exchange(client, server)
    traffic.finish(client, server)


def test_one_port_to_one_place_in_one_line(lab, run, family):
    (line,) = re.findall(r"^    limpid redirect (.*)$", (GUIDE / "tcprdr.md").read_text(), re.MULTILINE)
    host = "10.2.0.2" if family.version == 4 else "fd00:2::2"
    words = line.replace("192.0.2.9 80", f"{host} 8081").split()
    run(f"-{family.version}", *words, defaults=(), verb="redirect")
    lab.listener(family, port=8081)
    client = lab.connect(family, family.gateway_lan, 8080)
    traffic.exchange(client, lab.accept(family, port=8081))


def test_troubleshooting(lab, run, tmp_path, family):
    limpid = run()
    config = tmp_path / "judged.toml"
    config.write_text(intercept())
    commands = re.findall(r"^    limpid (.*?)(?:\s+#.*)?$", (GUIDE / "troubleshooting.md").read_text(), re.MULTILINE)
    assert len(commands) == 3
    where = {"10.1.0.2:5000": family.text(family.client, 5000), "203.0.113.9:443": family.text(family.server, 8080)}
    for command in commands:
        for old, new in where.items():
            command = command.replace(old, new)
        verb, *words = shlex.split(command.replace("--config F", f"--config {config}"))
        said = limpid.command(verb, *words).stdout
        assert "limpid takes it" in said if verb == "explain" else "0 broken, " in said, said
