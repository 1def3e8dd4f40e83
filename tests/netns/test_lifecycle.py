# SPDX-License-Identifier: MIT
# Start, drain, stop, withdraw: what an operator does, and what connections notice of it.
import os
import signal

import pytest
from support import traffic
from support.deadline import eventually
from support.families import IPV4
from support.kernel_state import KernelState
from support.lab import endpoint
from support.limpid import BINARY, Limpid


def test_the_first_connection_after_ready_is_taken(lab, run, family):
    run()
    client, server = lab.session(family)
    assert lab.is_intercepted(client)
    traffic.exchange(client, server)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["sigterm", "sigint"])
def test_a_signal_ends_it_in_order_and_nothing_is_left(lab, run, number):
    limpid = run()
    pids = limpid.pids()
    limpid.signal(number)
    assert limpid.wait() == 0
    assert limpid.processes_are_gone(pids)
    assert not lab.state_difference()
    assert not run.control.exists()


def test_sigterm_drains(lab, run, family):
    limpid = run()
    old, old_server = lab.session(family)
    traffic.exchange(old, old_server)
    limpid.signal(signal.SIGTERM)
    limpid.wait_status(lambda status: status["state"] == "draining", "draining")
    new, new_server = lab.session(family)
    assert not lab.is_intercepted(new), "a new connection goes directly"
    traffic.exchange(new, new_server)
    traffic.exchange(old, old_server)
    traffic.finish(old, old_server)
    assert limpid.wait() == 0
    assert [line["reason"] for line in limpid.access_log()] == ["done"]
    traffic.exchange(new, new_server)


def test_closed_refuses_new_connections_while_it_drains(lab, run, family):
    limpid = run("--without-us", "closed")
    old, old_server = lab.session(family)
    limpid.signal(signal.SIGTERM)
    limpid.wait_status(lambda status: status["state"] == "draining", "draining")
    with pytest.raises(ConnectionRefusedError):
        lab.connect(family)
    traffic.exchange(old, old_server)
    traffic.finish(old, old_server)
    assert limpid.wait() == 0
    run.withdraw()


def test_what_has_not_ended_when_the_drain_is_over_is_reset(lab, run, family):
    limpid = run("--drain-timeout", "300ms")
    ends = lab.session(family)
    limpid.signal(signal.SIGTERM)
    for end in ends:
        with pytest.raises(ConnectionResetError):
            traffic.receive_all(end)
    assert limpid.wait() == 0
    assert [line["reason"] for line in limpid.access_log()] == ["withdrawn"]


def test_a_second_signal_ends_the_drain(lab, run, family):
    limpid = run()
    client, _ = lab.session(family)
    limpid.signal(signal.SIGTERM)
    limpid.wait_status(lambda status: status["state"] == "draining", "draining")
    limpid.signal(signal.SIGTERM)
    with pytest.raises(ConnectionResetError):
        traffic.receive_all(client)
    assert limpid.wait() == 0


def test_an_unrelated_route_that_changes_during_the_drain_harms_no_session(lab, run, family):
    limpid = run()
    client, server = lab.session(family)
    limpid.signal(signal.SIGTERM)
    limpid.wait_status(lambda status: status["state"] == "draining", "draining")
    lab.gateway.ip(f"route add {family.documentation} dev wan0")
    traffic.exchange(client, server)
    sending = traffic.Background(traffic.send_stream, server, 4 << 20, False)
    assert traffic.receive_stream(client, 4 << 20) == sending.result()
    lab.gateway.ip(f"route del {family.documentation} dev wan0")
    traffic.exchange(client, server)
    traffic.finish(client, server)
    assert limpid.wait() == 0


def test_withdraw_asks_a_running_one_to_take_everything_back(lab, run, family):
    limpid = run()
    done = run.withdraw()
    assert done.returncode == 0
    assert limpid.wait() == 0
    client, server = lab.session(family)
    assert not lab.is_intercepted(client)
    traffic.exchange(client, server)


def test_withdraw_with_nothing_to_do_succeeds(lab, run):
    lab.remember_state()
    assert run.withdraw().returncode == 0
    assert not lab.state_difference()


def test_connections_from_before_the_start_go_on(lab, run, family):
    old, old_server = lab.session(family)
    local, local_server = lab.session(family, namespace=lab.gateway)
    traffic.exchange(old, old_server)
    traffic.exchange(local, local_server)
    limpid = run("--local")
    for client, server in (old, old_server), (local, local_server):
        traffic.exchange(client, server)
        sending = traffic.Background(traffic.send_stream, client, 4 << 20)
        assert traffic.receive_stream(server) == sending.result()
        server.sendall(b"last words")
        server.close()
        assert traffic.receive_all(client) == b"last words"
    assert limpid.counter("accepted") == 0


def test_direct_connections_go_on_after_the_stop_and_the_next_start(lab, run, family):
    run("--bypass", family.server).stop()
    direct, server = lab.session(family)
    run()
    traffic.exchange(direct, server)
    taken, taken_server = lab.session(family)
    assert lab.is_intercepted(taken)
    traffic.exchange(taken, taken_server)


def test_a_second_instance_is_refused_and_the_first_does_not_notice(lab, run, tmp_path):
    first = run()
    client, server = lab.session(IPV4)
    state = KernelState(lab.gateway)
    for control in run.control, tmp_path / "another.sock":
        words = "run", "--socket", control, "--interface", "lan0", "--tcp", "8080"
        second = lab.gateway.run(BINARY, *words, check=False)
        assert second.returncode == 1
        assert "another limpid" in second.stderr
    assert state == KernelState(lab.gateway)
    traffic.exchange(client, server)
    assert first.status()["state"] == "ready"


def test_instances_in_two_network_namespaces_do_not_meet(lab, run, tmp_path, family):
    run()
    lab.server.run("ip", "link", "add", "lan0", "type", "veth", "peer", "name", "lan1")
    notify = tmp_path / "elsewhere"
    notify.mkdir()

    other = Limpid(lab.server, notify, notify / "limpid.sock", ["--interface", "lan0", "--tcp", "8080"])
    try:
        client, server = lab.session(family)
        traffic.exchange(client, server)
        lab.close_sockets()
        assert other.stop() == 0
    finally:
        other.close()


def test_status_sees_sessions_come_and_go(lab, limpid, family):
    ends = [lab.session(family) for _ in range(3)]
    assert limpid.wait_sessions(3)["counters"]["accepted"] == 3
    for client, server in ends:
        traffic.exchange(client, server, b"12345", b"123")
        traffic.finish(client, server)
    status = limpid.wait_sessions(0)
    assert status["counters"]["close_reasons"]["done"] == 3
    assert (status["counters"]["bytes_up"], status["counters"]["bytes_down"]) == (15, 9)


def test_the_access_log_tells_of_each_session(lab, limpid, family):
    client, server = lab.session(family)
    traffic.exchange(client, server, b"12345", b"123")
    peer = endpoint(client.getsockname())
    traffic.finish(client, server)
    (line,) = limpid.sessions_logged(1)
    assert line["client"] == family.text(*peer)
    assert line["destination"] == family.text(family.server, 8080)
    assert (line["bytes_up"], line["bytes_down"]) == (5, 3)
    assert (line["source_kept"], line["reason"]) == ("port", "done")
    assert 0 <= line["duration"] < 5
    assert line["time"]


def test_the_access_log_is_opened_again_on_sigusr1(lab, run, tmp_path, family):
    log = tmp_path / "access.log"
    limpid = run("--access-log", log)
    traffic.finish(*lab.session(family))
    eventually(lambda: log.read_text().count("\n") == 1, what="a line in the log")
    os.rename(log, tmp_path / "access.log.1")
    limpid.signal(signal.SIGUSR1)
    eventually(log.exists, what="a new log")
    traffic.finish(*lab.session(family))
    eventually(lambda: log.read_text().count("\n") == 1, what="a line in the new log")
    assert (tmp_path / "access.log.1").read_text().count("\n") == 1
    assert limpid.access_log() == []


def test_the_access_log_can_be_off(lab, run, family):
    limpid = run("--access-log", "off")
    traffic.finish(*lab.session(family))
    limpid.wait_sessions(0)
    assert limpid.stop() == 0
    assert limpid.access_log() == []
