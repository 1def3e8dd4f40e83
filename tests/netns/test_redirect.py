# SPDX-License-Identifier: MIT
# `limpid redirect` with tcprdr's options.
import os
import socket

import pytest
from support import tproxy, traffic
from support.deadline import eventually
from support.lab import endpoint
from support.limpid import BINARY
from support.outcomes import exchange_streams
from support.servers import serving

IN = 9000
MIB = 1 << 20
TCP_FASTOPEN_CONNECT = 30  # tcp(7)


@pytest.fixture
def redirect(run, family):
    """redirect("-l", ...): one that listens on port 9000, of the test's family unless other words are given."""

    def start(*options, words=None, **keys):
        words = words or (f"-{family.version}", IN, family.server, 8080)
        return run(*options, *words, defaults=(), verb="redirect", **keys)

    return start


def session(lab, family, port=IN, address=None):
    lab.listener(family)
    client = lab.connect(family, address or family.gateway_lan, port)
    return client, lab.accept(family)


def test_the_first_connection_is_served_and_then_it_ends(lab, redirect, family):
    limpid = redirect()
    client, server = session(lab, family)
    assert endpoint(server.getpeername())[0] == family.gateway_wan
    traffic.exchange(client, server)
    exchange_streams(client, server)
    traffic.finish(client, server)
    assert limpid.wait() == 0
    (line,) = limpid.access_log()
    assert (line["destination"], line["upstream"]) == (family.text(family.gateway_lan, IN), "redirect")
    assert not lab.state_difference()


def test_without_l_nobody_else_is_served(lab, redirect, family):
    limpid = redirect()
    client, server = session(lab, family)
    second = lab.connect(family, family.gateway_lan, IN)
    traffic.exchange(client, server)
    traffic.finish(client, server)
    with pytest.raises(ConnectionResetError):
        second.recv(1)
    assert limpid.wait() == 0


def test_a_host_that_refuses_is_exit_status_1(lab, redirect, family):
    limpid = redirect()  # nobody listens there
    with pytest.raises(ConnectionResetError):
        lab.connect(family, family.gateway_lan, IN).recv(1)
    assert limpid.wait() == 1
    assert "nobody accepts it" in limpid.stderr()


def test_with_l_many_are_served_at_once_and_after_each_other(lab, redirect, family):
    limpid = redirect("-l")
    pairs = [session(lab, family) for _ in range(20)]
    for pair in pairs:
        traffic.exchange(*pair)
    for pair in pairs:
        traffic.finish(*pair)
    traffic.exchange(*session(lab, family))
    assert limpid.process.poll() is None


def test_a_host_that_comes_back_is_connected_to_at_once(lab, redirect, family):
    limpid = redirect("-l")
    with pytest.raises(ConnectionResetError):
        lab.connect(family, family.gateway_lan, IN).recv(1)
    traffic.exchange(*session(lab, family))
    assert limpid.close_reason("upstream_failed") == 1


@pytest.mark.parametrize("first", ["client", "server"])
def test_half_closed_connections_go_on(lab, redirect, family, first):
    limpid = redirect()
    client, server = session(lab, family)
    finished, still_open = (client, server) if first == "client" else (server, client)
    finished.shutdown(socket.SHUT_WR)
    assert still_open.recv(1) == b""
    sending = traffic.Background(traffic.send_stream, still_open, MIB)
    assert traffic.receive_stream(finished) == sending.result()
    assert limpid.wait() == 0


def test_the_remote_port_is_the_local_one_unless_given(lab, redirect, family):
    lab.listener(family, port=IN)
    redirect(words=(IN, family.server) if family.version == 4 else ("-6", IN, family.server))
    client = lab.connect(family, family.gateway_lan, IN)
    traffic.exchange(client, lab.accept(family, port=IN))


def test_L_is_where_it_listens(lab, redirect, family):
    redirect("-l", "-L", family.gateway_wan)
    traffic.exchange(*session(lab, family, address=family.gateway_wan))
    with pytest.raises(ConnectionRefusedError):
        lab.connect(family, family.gateway_lan, IN)


def test_a_family_is_that_alone(lab, redirect, family):
    redirect("-l")
    other = "10.1.0.1" if family.version == 6 else "fd00:1::1"
    with lab.client.socket(socket.AF_INET if family.version == 6 else socket.AF_INET6) as client:
        with pytest.raises(ConnectionRefusedError):
            client.connect((other, IN))
    traffic.exchange(*session(lab, family))


def test_a_name_is_resolved_at_the_start(lab, redirect, family):
    accepting = lab.listener(family, lab.gateway, family.loopback)
    redirect(words=("-L", family.loopback, IN, family.loopback, 8080))
    client = lab.connect(family, family.loopback, IN, namespace=lab.gateway)
    traffic.exchange(client, lab.keep(accepting.accept()[0]))


def test_t_takes_what_tproxy_rules_lead_there(lab, redirect, family):
    tproxy.lead_to(lab, IN, taken=8081)
    limpid = redirect("-t")
    lab.listener(family)
    client = lab.connect(family, family.server_alias, 8081)
    server = lab.accept(family)
    assert endpoint(server.getsockname()) == (family.server, 8080)
    assert endpoint(server.getpeername())[0] == family.gateway_wan
    traffic.exchange(client, server)
    traffic.finish(client, server)
    assert limpid.wait() == 0
    (line,) = limpid.access_log()
    assert line["destination"] == family.text(family.server_alias, 8081)


def test_T_connects_from_the_client(lab, redirect, family):
    tproxy.lead_to(lab, IN, taken=8081)
    redirect("-t", "-T")
    lab.listener(family)
    client = lab.connect(family, family.server_alias, 8081)
    server = lab.accept(family)
    assert endpoint(server.getsockname()) == (family.server, 8080)
    assert endpoint(server.getpeername()) == endpoint(client.getsockname())
    traffic.exchange(client, server)
    exchange_streams(client, server)
    traffic.finish(client, server)


def test_T_alone_does_so_for_who_connects_to_it(lab, redirect, family):
    redirect("-T")
    client, server = session(lab, family)
    assert endpoint(server.getpeername()) == endpoint(client.getsockname())
    traffic.exchange(client, server)


def fast_opened(namespace, what):
    names, values = (line.split() for line in namespace.proc_net("netstat").splitlines()[:2])
    return int(values[names.index(what)])


def test_f_opens_fast_on_both_sides(lab, redirect, family):
    for namespace in lab.client, lab.gateway, lab.server:
        namespace.sysctl("ipv4.tcp_fastopen", 3)
    server_socket = lab.listener(family)
    server_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 16)
    redirect("-f", "-l")

    def fast(sock):
        sock.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)

    for _ in range(3):  # the first gets the cookies
        client = lab.connect(family, family.gateway_lan, IN, prepare=fast)
        client.sendall(b"hello")
        server = lab.accept(family)
        assert traffic.receive_exactly(server, 5) == b"hello"
        traffic.exchange(client, server)
        traffic.finish(client, server)
    assert fast_opened(lab.gateway, "TCPFastOpenPassive") == 2
    assert fast_opened(lab.gateway, "TCPFastOpenActive") == 2


def test_f_sends_on_what_the_kernel_would_not_take_with_the_syn(lab, redirect, family):
    redirect("-f")  # the server has it off
    lab.listener(family)
    client = lab.connect(family, family.gateway_lan, IN)
    client.sendall(b"x" * 10_000)
    server = lab.accept(family)
    assert traffic.receive_exactly(server, 10_000) == b"x" * 10_000
    traffic.exchange(client, server)


def test_several_run_beside_each_other(lab, redirect, tmp_path, family):
    redirect("-l")
    another = ["env", BINARY, "redirect", "-l", f"-{family.version}", IN + 1, family.server, 8080]
    with serving(lab.gateway, tmp_path, another, [IN + 1]):
        for port in IN, IN + 1:
            traffic.exchange(*session(lab, family, port))


@pytest.mark.parametrize("options", [(), ("-t", "-T")], ids=["plain", "transparent"])
def test_nothing_is_left_behind_when_it_is_killed(lab, run, redirect, family, options):
    limpid = redirect("-l", *options)
    client, server = session(lab, family)
    traffic.exchange(client, server)
    pids = limpid.pids()
    limpid.process.kill()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    limpid.process.wait()
    eventually(lambda: limpid.processes_are_gone({k: v for k, v in pids.items() if v}), what="the end of all")
    eventually(lambda: not lab.state_difference(), what="the gateway as it was")
    os.unlink(run.control)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((IN, "no.invalid"), "where to connect to: no.invalid port 9000: "),
        (("-L", "localhost", IN, "10.2.0.2"), "where to listen: localhost port 9000: "),
        (("-4", "-6", IN, "10.2.0.2"), "excludes"),
        ((0, "10.2.0.2"), "there is no port 0"),
        ((IN,), "host is required"),
    ],
)
def test_wrong_words_are_refused(run, words, said):
    refused = run.command("redirect", *words, check=False, socket_words=False)
    assert refused.returncode == 2
    assert said in refused.stderr
