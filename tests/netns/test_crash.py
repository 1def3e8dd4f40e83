# SPDX-License-Identifier: MIT
# Limpid dies, whole or in part, with sessions in full flight: no short file passes for a whole one, nothing is left
# behind, nobody waits.
import os
import signal
import time

import pytest
from support import processes, traffic
from support.deadline import eventually
from support.families import IPV4
from support.lab import endpoint
from support.limpid import CLEAN_WITHIN

MIB = 1 << 20
ALL = ("watcher", "supervisor", "worker")


class Download:
    """A server that sends without end, and a client in the middle of it."""

    def __init__(self, lab, family, **options):
        self.client, server = lab.session(family, **options)
        server.settimeout(30)
        self._sending = traffic.Background(traffic.send_stream, server, 1 << 40)
        self.read(8 * MIB)

    def read(self, size):
        assert traffic.receive_stream(self.client, size).size == size

    def expect_reset(self):
        with pytest.raises(ConnectionResetError):
            while self.client.recv(MIB):
                pass
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            self._sending.result()

    def stop(self):
        self.client.close()
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            self._sending.result()


def leave_time_wait(lab, family, port):
    """A session from that port that ends in order, the server first: our accepted socket is in TIME_WAIT."""
    lab.server.sysctl("ipv4.tcp_max_tw_buckets", 0)
    client, server = lab.session(family, source_port=port)
    traffic.exchange(client, server)
    traffic.finish(server, client)


def expect_direct_at_once(lab, family, port=0):
    started = time.monotonic()
    client, server = lab.session(family, source_port=port)
    traffic.exchange(client, server)
    assert time.monotonic() - started < 0.5
    assert not lab.is_intercepted(client)
    if port:
        assert endpoint(server.getpeername())[1] == port


def expect_refused_at_once(lab, family):
    started = time.monotonic()
    with pytest.raises(ConnectionRefusedError):
        lab.connect(family)
    assert time.monotonic() - started < 0.5


def expect_clean(lab, limpid, pids):
    def look():
        return limpid.processes_are_gone(pids) and not lab.state_difference() and not own_sockets(lab)

    try:
        eventually(look, CLEAN_WITHIN)
    except AssertionError:
        raise AssertionError(
            f"left after {CLEAN_WITHIN} s: {lab.gateway.processes()}\n{lab.state_difference()}\n{own_sockets(lab)}"
        ) from None


def own_sockets(lab):
    return lab.gateway.run("ss", "-Hnta").stdout


def test_killed_worker_ends_its_sessions_with_a_reset_and_is_replaced(lab, run, family):
    limpid = run()
    download = Download(lab, family)
    pids = limpid.kill("worker")
    download.expect_reset()
    limpid.wait_replaced("worker", pids["worker"], CLEAN_WITHIN)
    client, server = lab.session(family)
    traffic.exchange(client, server)
    assert lab.is_intercepted(client)
    assert limpid.pids()["supervisor"] == pids["supervisor"]


def test_connections_made_while_the_worker_is_replaced_are_served(lab, run, family):
    limpid = run()
    worker = limpid.pids()["worker"]
    for _ in range(3):
        os.kill(worker, signal.SIGKILL)
        for _ in range(20):
            client, server = lab.session(family)
            traffic.exchange(client, server)
        worker = limpid.wait_replaced("worker", worker, 10)["pids"]["worker"]


@pytest.mark.parametrize("without_us", ["open", "closed"])
def test_while_no_worker_can_be_had_the_users_choice_holds(lab, run, family, without_us):
    limpid = run("--without-us", without_us)

    def let_go():
        status = limpid.status()
        if worker := status["pids"].get("worker"):
            os.kill(worker, signal.SIGKILL)
        # The sixth to die young is replaced 3.2 s later.
        return not status["conditions"]["taking"] and status["worker_restarts"] >= 5 and not worker

    eventually(let_go, 15, "no worker, its replacement put off")
    expect_direct_at_once(lab, family) if without_us == "open" else expect_refused_at_once(lab, family)
    limpid.wait_status(lambda status: status["state"] == "ready", "a worker again", 20)
    client, server = lab.session(family)
    traffic.exchange(client, server)
    assert lab.is_intercepted(client)
    lab.close_sockets()
    limpid.stop()
    run.withdraw()


def test_a_hanging_worker_is_replaced(lab, run):
    limpid = run()
    download = Download(lab, IPV4)
    worker = limpid.pids()["worker"]
    os.kill(worker, signal.SIGSTOP)
    limpid.wait_replaced("worker", worker, 8)
    assert not processes.is_alive(worker)
    download.expect_reset()
    client, server = lab.session(IPV4)
    traffic.exchange(client, server)
    assert lab.is_intercepted(client)


def test_killed_watcher_is_replaced_and_no_session_notices(lab, run, family):
    limpid = run()
    download = Download(lab, family)
    pids = limpid.kill("watcher")
    download.read(64 * MIB)
    limpid.wait_replaced("watcher", pids["watcher"], CLEAN_WITHIN)
    download.read(64 * MIB)
    download.stop()
    pids = limpid.kill("supervisor")
    expect_clean(lab, limpid, pids)
    os.unlink(run.control)


def test_killed_supervisor_open_lets_connections_through_at_once(lab, run, family):
    limpid = run()
    leave_time_wait(lab, family, 40000)
    download = Download(lab, family, source_port=40001)
    pids = limpid.kill("supervisor")
    download.expect_reset()
    lab.close_sockets()
    expect_clean(lab, limpid, pids)
    for port in 0, 40000, 40001:
        expect_direct_at_once(lab, family, port)
    os.unlink(run.control)


def test_killed_supervisor_closed_refuses_until_withdrawn(lab, run, family):
    limpid = run("--without-us", "closed")
    download = Download(lab, family)
    pids = limpid.kill("supervisor")
    download.expect_reset()
    eventually(lambda: limpid.processes_are_gone(pids), CLEAN_WITHIN, "no process left")
    expect_refused_at_once(lab, family)
    assert "reject" in lab.gateway.run("nft", "list", "ruleset").stdout
    run.withdraw()
    assert not lab.state_difference()
    expect_direct_at_once(lab, family)


def test_everything_killed_open_lets_connections_through_at_once(lab, run, family):
    limpid = run()
    leave_time_wait(lab, family, 40000)
    download = Download(lab, family)
    pids = limpid.kill(*ALL)
    download.expect_reset()
    eventually(lambda: limpid.processes_are_gone(pids), CLEAN_WITHIN)
    expect_direct_at_once(lab, family)
    assert "limpid" not in lab.gateway.run("nft", "list", "ruleset").stdout
    run.withdraw()
    assert not lab.state_difference()
    expect_direct_at_once(lab, family, 40000)


def test_killed_supervisor_and_watcher_take_the_worker_along(lab, run, family):
    limpid = run()
    download = Download(lab, family)
    pids = limpid.kill("watcher", "supervisor")
    download.expect_reset()
    eventually(lambda: limpid.processes_are_gone(pids), CLEAN_WITHIN, "no process left")
    expect_direct_at_once(lab, family)
    run.withdraw()


def test_everything_killed_is_cleaned_up_by_the_next_start(lab, run, family):
    limpid = run()
    leave_time_wait(lab, family, 40000)
    limpid.kill(*ALL)
    run("--bypass", family.server)
    expect_direct_at_once(lab, family, 40000)


def test_everything_killed_closed_refuses_until_the_next_start_serves_again(lab, run, family):
    limpid = run("--without-us", "closed")
    download = Download(lab, family)
    limpid.kill(*ALL)
    download.expect_reset()
    expect_refused_at_once(lab, family)
    limpid = run("--without-us", "closed")
    client, server = lab.session(family)
    traffic.exchange(client, server)
    assert lab.is_intercepted(client)
    lab.close_sockets()
    assert limpid.stop() == 0
    expect_refused_at_once(lab, family)
    run.withdraw()
    expect_direct_at_once(lab, family)


def test_a_start_with_open_takes_away_a_guard_that_a_closed_one_left(lab, run, family):
    run("--without-us", "closed").kill(*ALL)
    expect_refused_at_once(lab, family)
    limpid = run("--without-us", "open")
    client, server = lab.session(family)
    traffic.exchange(client, server)
    lab.close_sockets()
    assert limpid.stop() == 0
    expect_direct_at_once(lab, family)


def test_closed_refuses_after_an_orderly_stop_too(lab, run, family):
    assert run("--without-us", "closed").stop() == 0
    expect_refused_at_once(lab, family)
    direct, server = lab.session(family, port=8081)
    traffic.exchange(direct, server)
    run.withdraw()


def test_the_guard_spares_what_is_never_taken(lab, run, family):
    run("--without-us", "closed", "--bypass", family.server_alias).kill(*ALL)
    direct, server = lab.session(family, address=family.server_alias)
    traffic.exchange(direct, server)
    lab.listener(family, lab.gateway)
    own = lab.connect(family, family.gateway_lan)
    traffic.exchange(own, lab.accept(family, lab.gateway))
    expect_refused_at_once(lab, family)
    run.withdraw()


def test_nothing_of_ours_is_left_when_limpid_dies_again_and_again(lab, run, family):
    for _ in range(3):
        limpid = run()
        client, server = lab.session(family, source_port=40000)
        traffic.exchange(client, server)
        pids = limpid.kill("supervisor")
        lab.close_sockets()
        expect_clean(lab, limpid, pids)
    os.unlink(run.control)
