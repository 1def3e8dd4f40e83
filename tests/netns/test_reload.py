# SPDX-License-Identifier: MIT
# `limpid reload` and SIGHUP: all of a new configuration or nothing of it, and no connection is the worse for it.
import signal
import threading

import pytest
from support import traffic, udp
from support.deadline import eventually, stays_silent
from support.firewalls import use
from support.lab import PORT
from support.limpid import SANITIZED
from support.outcomes import http_request, is_reset
from support.settings import intercept, limits, rule

ALWAYS = "00:00-24:00"  # only limpid can tell the time, so that it has to decide
NO = rule(name="no", time=ALWAYS, action="reject")


@pytest.fixture
def running(lab, run, tmp_path):
    """A limpid with a file, and what writes another and has it reloaded."""

    class Running:
        def start(self, *tables):
            self.limpid = run.configured(*tables)
            self.path = tmp_path / "limpid0.toml"
            return self.limpid

        def reload(self, *tables, words=(), check=True):
            self.path.write_text("".join(tables))
            return run.command("reload", *words, check=check)

    return Running()


def test_new_connections_are_decided_by_the_new_rules_and_old_ones_go_on(lab, running, family):
    running.start(intercept())
    client, server = lab.session(family)
    traffic.exchange(client, server)
    running.reload(intercept(), NO)
    assert is_reset(lab, family)
    traffic.exchange(client, server)
    traffic.finish(client, server)
    running.reload(intercept())
    client, server = lab.session(family)
    traffic.exchange(client, server)


def test_what_is_taken_changes(lab, running, family):
    limpid = running.start(intercept(tcp=["8080"]))
    lab.listener(family, port=8081)

    def is_taken(port):
        before = limpid.status()["counters"]["accepted"]
        client, server = lab.session(family, port=port)
        traffic.exchange(client, server)
        return limpid.status()["counters"]["accepted"] > before

    assert is_taken(8080) and not is_taken(8081)
    running.reload(intercept(tcp=["8081"]))
    assert not is_taken(8080) and is_taken(8081)
    running.reload(intercept(bypass=[family.server]))
    assert not is_taken(8080)
    running.reload(intercept(interfaces=["lan7"]))
    assert not is_taken(8080)
    running.reload(intercept(without_us="closed"), rule(port=["8081"], action="direct"))
    assert is_taken(8080) and not is_taken(8081)
    running.reload(intercept())
    assert "table inet limpid_guard" not in limpid.status()["installed"]


@pytest.mark.parametrize("kind", ["plain", "invalid_drop", "masquerade"])
def test_sessions_go_on_when_what_they_came_by_is_taken_no_longer(lab, running, family, kind):
    use(lab, kind)
    limpid = running.start(intercept(local=True))
    sessions = [lab.session(family, namespace=namespace) for namespace in (lab.client, lab.gateway)]
    for what in {"interfaces": ["lan7"]}, {"tcp": ["8081"]}, {"interfaces": ["lan7"], "tcp": ["8081"], "local": False}:
        running.reload(intercept(**{"local": True, **what}))
        for client, server in sessions:
            traffic.exchange(client, server)
    for namespace in lab.client, lab.gateway:
        client, server = lab.session(family, namespace=namespace)
        traffic.exchange(client, server)
    assert limpid.counter("accepted") == 2
    for client, server in sessions:
        traffic.finish(client, server)
    assert limpid.close_reason("done") == 2


def test_an_error_changes_nothing_and_is_told_with_its_place(lab, running, family):
    limpid = running.start(intercept(), NO)
    before = limpid.status()["installed"]
    done = running.reload(intercept(), rule(action="nowhere"), "[limits]\nsessions = -1\n", check=False)
    assert done.returncode == 2
    assert f"{running.path}:5:10: rule 1: " in done.stderr and 'no [[upstream]] named "nowhere"' in done.stderr
    assert "limits.sessions" in done.stderr
    assert is_reset(lab, family)
    assert limpid.status()["installed"] == before
    running.path.unlink()
    limpid.signal(signal.SIGHUP)
    eventually(lambda: "SIGHUP: nothing has changed" in limpid.stderr(), 5)
    assert is_reset(lab, family)


def test_what_cannot_change_is_named_with_the_reason(lab, running):
    running.start(intercept())
    done = running.reload(intercept(table=5301, udp=["53"]), '[process]\nuser = "daemon"\n', check=False)
    assert done.returncode == 2
    first, second, third = done.stderr.splitlines()
    assert first.startswith("intercept.table cannot change while limpid runs (live sessions are routed by it)")
    assert second.startswith("process.user cannot change")
    assert third.startswith("intercept.udp, from no port to some or back, cannot change")


def test_sighup_reloads(lab, running, family):
    limpid = running.start(intercept())
    running.path.write_text(intercept() + NO)
    limpid.signal(signal.SIGHUP)
    eventually(lambda: "SIGHUP: reloaded" in limpid.stderr(), 5)
    assert is_reset(lab, family)


def test_without_a_limpid_there_is_nothing_to_reload(lab, run):
    lab.remember_state()
    done = run.command("reload", check=False)
    assert (done.returncode, "no limpid listens" in done.stderr) == (1, True)


def test_limits_change(lab, running, family):
    limpid = running.start(intercept())
    client, server = lab.session(family)
    running.reload(intercept(), limits(sessions=2, idle_timeout="300ms"))
    assert limpid.status()["sessions_max"] == 2
    idle, _ = lab.session(family)
    with pytest.raises(ConnectionResetError):
        traffic.receive_all(idle)
    traffic.exchange(client, server)


def test_the_log_moves(lab, running, family, tmp_path):
    running.start(intercept(), f'[log]\naccess = "{tmp_path}/one"\n')
    running.reload(intercept(), f'[log]\naccess = "{tmp_path}/two"\n')
    client, server = lab.session(family)
    traffic.finish(client, server)
    eventually(lambda: (tmp_path / "two").read_text().count("\n") == 1, 5)
    assert (tmp_path / "one").read_text() == ""


def test_enforce_ends_what_the_new_rules_do_not_allow_and_nothing_else(lab, running, family):
    # A rule that asks for the host has every session looked at; the limits keep one that says nothing from waiting.
    hosts = rule(name="hosts", host=["none.example"], action="reject")
    limpid = running.start(intercept(), limits(identify_timeout="100ms"), hosts)
    lab.listener(family)
    sessions = {}
    for host in "good.example", "bad.example":
        client = lab.connect(family)
        client.sendall(http_request(host))
        server = lab.accept(family)
        traffic.receive_exactly(server, len(http_request(host)))
        sessions[host] = client, server
    silent, _ = lab.session(family, port=8081)
    running.reload(
        intercept(), limits(identify_timeout="100ms"), rule(name="no", host=["bad.example"], action="reject"),
        words=["--enforce"],
    )  # fmt: skip
    client, server = sessions["bad.example"]
    with pytest.raises(ConnectionResetError):
        traffic.receive_all(client)
    with pytest.raises(ConnectionResetError):
        traffic.receive_all(server)
    traffic.exchange(*sessions["good.example"])
    assert limpid.close_reason("rejected") == 1
    assert stays_silent([silent], 0.1)


def test_enforce_takes_flows_back_from_the_kernel_and_ends_them(lab, running, family):
    limpid = running.start(intercept(udp=["8080-8081"]))
    client, server = udp.flow(lab, family)
    udp.hand_over(limpid, client, server)
    allowed = rule(proto="udp", port=["8080"], to=[family.server_alias], action="reject")
    running.reload(intercept(udp=["8080-8081"]), allowed, words=["--enforce"])
    udp.exchange(client, server)
    assert len(limpid.handed_over()) == 1
    refused = rule(proto="udp", port=["8080"], time=ALWAYS, action="reject")
    running.reload(intercept(udp=["8080-8081"]), refused, words=["--enforce"])
    assert limpid.handed_over() == []
    assert udp.refusal(client) in udp.REFUSALS


def test_reloads_under_load_harm_no_connection(lab, running, family):
    one = [intercept(), rule(port=["8081"], action="reject"), rule(host=["none.example"], action="reject")]
    two = [intercept(bypass=[family.server_alias]), rule(name="all", time=ALWAYS, action="direct")]
    limpid = running.start(*one)
    listener = lab.listener(family)
    over = threading.Event()

    def ask(question):
        with lab.client.socket(family.af) as client:
            client.connect((family.server, PORT))
            client.sendall(question)
            assert traffic.receive_all(client) == b"hello"

    def ask_until_it_is_over():
        asked = 0
        while not over.is_set():
            ask(http_request("any.example"))
            asked += 1
        return asked

    def answer_until_told_otherwise():
        question = b""
        while question != b"stop":
            with listener.accept()[0] as connection:
                question = connection.recv(1000)
                connection.sendall(b"hello")

    server = traffic.Background(answer_until_told_otherwise)
    clients = [traffic.Background(ask_until_it_is_over) for _ in range(2)]
    reloads = 50 if SANITIZED else 200
    for number in range(reloads):
        running.reload(*(two if number % 2 == 0 else one))
    over.set()
    asked = sum(client.result() for client in clients)
    assert asked > reloads
    ask(b"stop")
    server.result()
    status = limpid.status()
    assert {name for name, count in status["counters"]["close_reasons"].items() if count} == {"done"}
    assert (status["worker_restarts"], status["counters"]["accepted"]) == (0, asked + 1)
