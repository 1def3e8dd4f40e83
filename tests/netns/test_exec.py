# SPDX-License-Identifier: MIT
# `limpid exec`: unmodified programs that TPROXY rules lead to, that bind addresses of anybody's and that connect from
# them, without a privilege of their own.
import os
import pathlib
import re
import select
import socket
import subprocess

import pytest
from support import tproxy, traffic
from support.attended import AS_NOBODY, EXEC, LISTEN, foreign, from_source, nobody_is_left, public  # noqa: F401
from support.deadline import eventually
from support.lab import endpoint
from support.limpid import BINARY
from support.puppet import puppet
from support.servers import serving

GUIDE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "guide" / "exec.md"


# As TPROXY targets.


def servers(family, public):
    anywhere = "0.0.0.0" if family.version == 4 else "[::]"
    return {
        "nc": ["nc", f"-{family.version}", "-l", LISTEN],
        "socat": ["socat", f"TCP{family.version}-LISTEN:{LISTEN},fork,reuseaddr", "EXEC:cat"],
        "python": ["/usr/bin/python3", "-m", "http.server", "--bind", anywhere.strip("[]"), "--directory", public, LISTEN],
        "busybox": ["busybox", "httpd", "-f", "-p", f"{anywhere}:{LISTEN}", "-h", public],
        "websocketd": ["websocketd", f"--address={anywhere}", f"--port={LISTEN}", f"--staticdir={public}"],
    }


@pytest.mark.parametrize("program", ["nc", "socat", "python", "busybox", "websocketd"])
def test_unmodified_servers_are_tproxy_targets(lab, tmp_path, public, family, program):
    tproxy.lead_to(lab, LISTEN)
    words = servers(family, public)[program]
    with serving(lab.gateway, tmp_path, ["env", *EXEC, *AS_NOBODY, *words], [LISTEN]):
        client = lab.connect(family)
        assert lab.is_intercepted(client)
        if program == "nc":
            client.sendall(b"hello to netcat\n")
            printed = tmp_path / f"env-{LISTEN}.log"
            eventually(lambda: "hello to netcat" in printed.read_text(), what="what netcat prints")
        elif program == "socat":
            for each in client, lab.connect(family):
                each.sendall(b"hello")
                assert traffic.receive_exactly(each, 5) == b"hello"
        else:
            client.sendall(b"GET /page HTTP/1.0\r\n\r\n")
            assert traffic.receive_all(client).endswith(b"hello of the page\n")


def test_without_exec_the_rules_lead_nowhere(lab, tmp_path, public, family):
    tproxy.lead_to(lab, LISTEN)
    with serving(lab.gateway, tmp_path, servers(family, public)["python"], [LISTEN]):
        with pytest.raises(ConnectionRefusedError):
            lab.connect(family)


def test_datagrams_are_led_to_an_unmodified_program(lab, tmp_path, family):
    tproxy.lead_to(lab, LISTEN, protocol="udp")
    log = tmp_path / "nc"
    words = [str(word) for word in (*EXEC, *AS_NOBODY, "nc", f"-{family.version}", "-u", "-l", LISTEN)]
    with log.open("wb") as output, lab.gateway.enter():
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=output)
    with process:
        eventually(lambda: lab.gateway.run("ss", "-Hlun", f"sport = :{LISTEN}").stdout, what="netcat's socket")
        client = lab.keep(lab.client.socket(family.af, socket.SOCK_DGRAM))
        client.sendto(b"hello to netcat", (family.server, 8080))
        eventually(lambda: "hello to netcat" in log.read_text(), what="what netcat prints")
        process.kill()


# Bound to addresses of anybody's.


def test_foreign_addresses_can_be_bound_and_only_with_exec(lab, tmp_path, family):
    with puppet(lab.gateway, tmp_path, *AS_NOBODY) as alone:
        assert alone.bind(family, foreign(family), LISTEN) == "EADDRNOTAVAIL"
    with puppet(lab.gateway, tmp_path, *EXEC, *AS_NOBODY) as program:
        assert program.bind(family, foreign(family), LISTEN) == "bound"
        assert program.bind(family, foreign(family), LISTEN) == "EADDRINUSE"
        assert program.bind(family, foreign(family), 80) == "EACCES"  # what its user may not it may not


def test_with_a_source_foreign_addresses_can_be_bound_where_that_is_asked_for(lab, tmp_path, family):
    for options, came_of_it in {(): "EADDRNOTAVAIL", ("--bind-any",): "bound"}.items():
        with puppet(lab.gateway, tmp_path, *from_source(foreign(family), *options), *AS_NOBODY) as program:
            assert program.bind(family, foreign(family, 8), LISTEN) == came_of_it


# Connecting from addresses of anybody's.


def clients(family):
    to = family.server
    url = f"http://{family.text(to, 8080)}/"
    return {
        "nc": ["nc", "-N", to, 8080],
        "socat": ["socat", "-t", 10, "-", f"TCP:{family.text(to, 8080)}"],
        "curl": ["curl", "--silent", "--no-buffer", url],
        "busybox": ["busybox", "wget", "-q", "-O", "-", url],
    }


@pytest.mark.parametrize("program", ["nc", "socat", "curl", "busybox"])
@pytest.mark.parametrize("port", [0, 5000], ids=["any-port", "a-port"])
def test_unmodified_clients_connect_from_the_source(lab, family, program, port):
    tproxy.bring_back(lab)
    lab.listener(family)
    source = family.text(foreign(family), port) if port else foreign(family)
    words = [*from_source(source), *AS_NOBODY, *clients(family)[program]]
    for _ in range(2):  # the port is there again for the second
        done = traffic.Background(lambda: lab.gateway.run(*words, text="GET / HTTP/1.0\r\n\r\n").stdout)
        server = lab.accept(family)
        address, its_port = endpoint(server.getpeername())
        assert address == foreign(family)
        assert its_port == port or not port
        assert server.recv(4) == b"GET "
        server.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        server.shutdown(socket.SHUT_WR)
        assert done.result().endswith("hello")
        server.close()


def test_a_client_binds_its_own_choice_of_an_address(lab, family):
    tproxy.bring_back(lab)
    lab.listener(family)
    url = f"http://{family.text(family.server, 8080)}/"
    words = [*EXEC, *AS_NOBODY, "curl", "--silent", "--interface", foreign(family), url]
    done = traffic.Background(lambda: lab.gateway.run(*words).stdout)
    server = lab.accept(family)
    assert endpoint(server.getpeername())[0] == foreign(family)
    server.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello")
    assert done.result() == "hello"


@pytest.mark.parametrize("program", ["socat", "nc"])  # one sends without a connection, one connects its socket
def test_datagrams_leave_from_the_source_and_answers_come_back(lab, tmp_path, family, program):
    tproxy.bring_back(lab)
    server = lab.keep(lab.server.socket(family.af, socket.SOCK_DGRAM))
    server.bind((family.server, 8080))  # it has others, and an answer from one of those is none
    words = {
        "socat": ["socat", "-T", 5, "-", f"UDP{family.version}-SENDTO:{family.text(family.server, 8080)}"],
        "nc": ["nc", "-u", family.server, 8080],
    }[program]
    command = [str(word) for word in (*from_source(foreign(family)), *AS_NOBODY, *words)]
    with lab.gateway.enter():
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    with process:
        process.stdin.write(b"question")
        data, sender = server.recvfrom(100)
        assert (data, sender[0]) == (b"question", foreign(family))
        server.sendto(b"answer", sender)
        assert select.select([process.stdout], [], [], 5)[0]
        assert process.stdout.read(100) == b"answer"
        process.kill()


def test_a_source_port_that_is_taken_is_told_once_and_to_both(lab, tmp_path, family):
    source = family.text(foreign(family), LISTEN)
    with puppet(lab.gateway, tmp_path, *EXEC) as holder:
        assert holder.bind(family, foreign(family), LISTEN) == "bound"
        with puppet(lab.gateway, tmp_path, *from_source(source), *AS_NOBODY) as program:
            for _ in range(3):
                assert program.connect(family, family.server, 8080) == "EADDRINUSE"
            assert program.stderr() == f"limpid: exec: bind {source}: Address already in use\n"


def test_a_refused_connection_is_refused_as_ever(lab, tmp_path, family):
    tproxy.bring_back(lab)
    with puppet(lab.gateway, tmp_path, *from_source(foreign(family))) as program:
        assert program.connect(family, family.server, 8080) == "ECONNREFUSED"
        lab.listener(family)
        assert program.connect(family, family.server, 8080) == foreign(family)
        assert endpoint(lab.accept(family).getpeername())[0] == foreign(family)
        lab.listener(family, lab.gateway, family.loopback)
        assert program.connect(family, family.loopback, 8080) == family.loopback
        assert program.stderr() == ""


# The page of the guide.


def test_the_recipes_of_the_guide(lab, public, family):
    rules, listening, connecting = re.findall(r"```sh\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    os.symlink(BINARY, public / "limpid")
    here = {"nc -": f"nc -{family.version} -", "198.51.100.7": foreign(family), "203.0.113.80": family.server}

    def start(recipe):
        for old, new in here.items():
            recipe = recipe.replace(old, new)
        path = f"{public}:{os.environ['PATH']}"
        with lab.gateway.enter():
            return subprocess.Popen(
                ["sh", "-c", f"exec {recipe}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "PATH": path},
            )

    lab.gateway.run("sh", "-c", rules)
    lab.listener(family)
    with start(listening) as netcat:
        eventually(lambda: lab.gateway.run("ss", "-Hltn", f"sport = :{LISTEN}").stdout, what="netcat's socket")
        lab.connect(family).sendall(b"hello to netcat")
        assert netcat.stdout.read(15) == b"hello to netcat"
        netcat.kill()
    with start(connecting) as netcat:
        server = lab.accept(family)
        assert endpoint(server.getpeername())[0] == foreign(family)
        netcat.stdin.close()
        assert server.recv(1) == b""
        server.sendall(b"hello from the server")
        server.close()
        assert netcat.stdout.read() == b"hello from the server"
        assert netcat.wait() == 0


# What is refused.


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "name a program"),
        (("--",), "name a program"),
        (("nc", "-l", "80"), "nc"),
        (("--source", "host.example", "--", "true"), '--source: "host.example" is neither'),
        (("--source", "0.0.0.0", "--", "true"), "nothing can leave from 0.0.0.0"),
        (("--source", "::ffff:192.0.2.1", "--", "true"), "write 192.0.2.1"),
        (("--source", "--", "true"), "--source"),
        (("--any-bind", "--", "true"), "--any-bind"),
    ],
)
def test_wrong_words_are_refused(lab, words, said):
    done = lab.gateway.run(BINARY, "exec", *words, check=False)
    assert done.returncode == 2
    assert said in done.stderr
