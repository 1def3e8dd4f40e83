# SPDX-License-Identifier: MIT
# The recipes of docs/guide do what the pages say. Addresses and files of the pages become those of the lab.
import pathlib
import re

import pytest
from support import traffic, upstreams, web
from support.outcomes import is_reset

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
