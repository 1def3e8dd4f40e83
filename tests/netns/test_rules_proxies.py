# SPDX-License-Identifier: MIT
# Real transparent proxies with the kernel set-up of `limpid rules hold`: the commands and configurations of the pages in
# docs/guide, with the lab's addresses and files in place of theirs.
import pathlib
import re
import shutil
import tempfile

import pytest
from support import traffic, udp, web
from support.deadline import eventually
from support.families import IPV4
from support.lab import endpoint
from support.limpid import BINARY

GUIDE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "guide"
ORIGIN = 8080


@pytest.fixture
def shared():
    """A directory that other users may look into, as Squid's does."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="limpid-rules-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def replaced(text, here):
    for old, new in here.items():
        assert old in text, old
        text = text.replace(old, str(new))
    return text


def block(page, language, here=None):
    (text,) = re.findall(rf"```{language}\n(.*?)```", (GUIDE / page).read_text(), re.DOTALL)
    return replaced(text, here or {})


def hold(run, page, here):
    """The page's `limpid rules hold` line."""
    (line,) = re.findall(r"^    limpid rules (hold .*)$", (GUIDE / page).read_text(), re.MULTILINE)
    return run(*replaced(line, here).split(), defaults=(), verb="rules")


def serves(lab, family, keeps_port):
    """A connection through the proxy: it is the proxy's on the gateway, and the server sees the client."""
    client, server = lab.session(family)
    assert lab.is_intercepted(client)
    assert endpoint(server.getpeername())[0] == family.client
    assert (endpoint(server.getpeername()) == endpoint(client.getsockname())) is keeps_port
    traffic.exchange(client, server)
    traffic.finish(client, server)


def origin(lab, shared):
    """It tells whom it sees, and what host was asked for."""
    return web.nginx(lab.server, shared, f"""server {{
        listen 0.0.0.0:{ORIGIN}; listen [::]:{ORIGIN};
        location / {{ return 200 "$remote_addr $http_host\\n"; }} }}""", [ORIGIN])  # fmt: skip


def asks(lab, family):
    """The URL that the client asks for, and what the origin answers, headers included."""
    url = f"http://{family.text(family.server, ORIGIN)}/"
    words = ("--silent", "--show-error", "--noproxy", "*", "--max-time", "10", "--include", url)
    return url, lab.client.run("curl", *words).stdout


def answer_for(family):
    return f"{family.client} {family.text(family.server, ORIGIN)}\n"


def test_squid(lab, run, shared, family):
    """The origin sees the client, the access log the client and the origin that it meant."""
    log = shared / "log"
    log.mkdir()
    shutil.chown(log, "proxy")
    config = shared / "squid.conf"
    config.write_text(block("rules-squid.md", "squid", {"/var/log/squid": log}) + "shutdown_lifetime 0 seconds\n")
    with origin(lab, shared):
        hold(run, "rules-squid.md", {"--tcp 80": f"--tcp {ORIGIN}", "/etc/squid/squid.conf": config})
        url, answer = asks(lab, family)
        assert answer.endswith(answer_for(family))
        assert "Via:" in answer and "squid" in answer, "it went through Squid"

        def line():
            return [one for one in (log / "access.log").read_text().splitlines() if url in one]

        (logged,) = eventually(line, what="the request in Squid's log")
        assert f" {family.client} " in logged and f"ORIGINAL_DST/{family.server}" in logged


def test_haproxy(lab, run, shared, family):
    config = shared / "haproxy.cfg"
    config.write_text(block("rules-haproxy.md", "haproxy"))
    hold(run, "rules-haproxy.md", {"--tcp 80,443": f"--tcp {ORIGIN}", "/etc/haproxy/haproxy.cfg": config})
    for _ in range(2):
        serves(lab, family, keeps_port=True)


def test_v2ray(lab, run, shared, family):
    """It sends on as this machine; with datagrams, answers come from the destination."""
    config = shared / "config.json"
    config.write_text(block("rules-v2ray.md", "json"))
    here = {"--tcp 80,443 --udp 53,443": f"--tcp {ORIGIN} --udp {ORIGIN}", "/etc/v2ray/config.json": config}
    hold(run, "rules-v2ray.md", here)
    client, server = lab.session(family)
    assert lab.is_intercepted(client)
    assert endpoint(server.getpeername())[0] == family.gateway_wan
    traffic.exchange(client, server)
    asking, answering = udp.flow(lab, family)  # connected: it hears the destination alone
    for _ in range(3):
        asking.send(b"question")
        data, source = answering.recvfrom(100)
        assert (data, endpoint(source)[0]) == (b"question", family.gateway_wan)
        answering.sendto(b"answer", source)
        assert asking.recv(100) == b"answer"


def test_traffic_server(lab, run, shared, family, monkeypatch):
    shutil.copytree("/etc/trafficserver", shared / "etc")
    (shared / "etc" / "records.config").write_text(block("rules-trafficserver.md", "ats"))
    (shared / "etc" / "storage.config").write_text("")
    monkeypatch.setenv("PROXY_CONFIG_CONFIG_DIR", str(shared / "etc"))
    for variable, name in ("LOCAL_STATE_DIR", "run"), ("LOG_LOGFILE_DIR", "log"):
        (shared / name).mkdir()
        shutil.chown(shared / name, "trafficserver")
        monkeypatch.setenv(f"PROXY_CONFIG_{variable}", str(shared / name))
    with origin(lab, shared):
        hold(run, "rules-trafficserver.md", {"--tcp 80": f"--tcp {ORIGIN}"})
        _, answer = asks(lab, family)
        assert answer.endswith(answer_for(family))
        assert "Server: ATS/" in answer, "it went through Traffic Server"


def test_socat(lab, run, shared, family):
    program = shared / "as-client"
    program.write_text(block("rules-socat.md", "sh"))
    program.chmod(0o755)
    hold(run, "rules-socat.md", {"--tcp 7000": f"--tcp {ORIGIN}", "/usr/local/bin/as-client": program})
    for _ in range(2):
        serves(lab, family, keeps_port=False)


def test_limpid_redirect(lab, run):
    """tcprdr's command line: all goes to one place."""
    elsewhere = lab.add_other_server()
    here = {"-- limpid": f"-- {BINARY}", "192.0.2.9 80": f"{IPV4.other_server} {ORIGIN}"}
    hold(run, "rules-tcprdr.md", here)
    lab.listener(IPV4, elsewhere)
    client = lab.connect(IPV4)
    assert lab.is_intercepted(client)
    client.sendall(b"hello")

    def first_bytes():
        try:
            return lab.accept(IPV4, elsewhere).recv(5)
        except ConnectionResetError:
            return b""  # the probe's

    assert eventually(first_bytes, what="the client's bytes") == b"hello"


def test_the_first_page(lab, rules):
    """Its commands: what is printed loads, and a name is installed, listed and removed."""
    commands = re.findall(r"^    limpid rules (print|install|list|remove)(.*?)(?: #.*)?$",
                          (GUIDE / "rules.md").read_text(), re.MULTILINE)  # fmt: skip
    assert [verb for verb, _ in commands] == ["print", "install", "list", "remove"]
    said = {verb: rules.command(verb, *words.split()).stdout for verb, words in commands}
    assert said["print"].startswith("#!/bin/sh\n")
    assert said["list"].startswith("web: installed, protocol 154\n")
    assert "removed: table inet limpid_rules_web" in said["remove"]
    assert not lab.state_difference()
    lab.gateway.run("sh", text=said["print"])
    rules.command("remove", "proxy")
    assert not lab.state_difference()


def test_each_page_of_a_proxy_is_tested_here():
    pages = {path.stem.removeprefix("rules-") for path in GUIDE.glob("rules-*.md")}
    assert pages == {"squid", "haproxy", "v2ray", "socat", "tcprdr", "trafficserver"}
