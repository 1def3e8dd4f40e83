# SPDX-License-Identifier: MIT
# Limpid dies, whole or in part, or is stopped, with flows alive: open, they go on directly; closed, they are refused.
import errno
import os
import signal

import pytest
from support import traffic, udp
from support.deadline import eventually
from support.lab import PORT
from support.limpid import CLEAN_WITHIN
from support.runner import TAKE_UDP

DEFAULTS = TAKE_UDP
ALL = ("watcher", "supervisor", "worker")


class Flows:
    """One flow that is relayed, one that the kernel forwards."""

    def __init__(self, lab, limpid, family):
        self._lab, self._family = lab, family
        self._server = udp.bound(lab, family)
        self._relayed, self._handed_over = udp.client(lab, family), udp.client(lab, family)
        udp.exchange(self._relayed, self._server)
        udp.hand_over(limpid, self._handed_over, self._server)

    def expect_direct(self):
        clients = self._relayed, self._handed_over, udp.client(self._lab, self._family)
        with udp.forwarded(self._lab, self._family, 2 * len(clients)):
            for client in clients:
                udp.exchange(client, self._server)

    def expect_refused(self):
        for client in self._relayed, self._handed_over, udp.client(self._lab, self._family):
            assert udp.refusal(client) in udp.REFUSALS

    def expect_taken(self):
        client = udp.client(self._lab, self._family)
        with udp.relayed(self._lab, self._family):
            udp.exchange(client, self._server)


def expect_clean(lab, limpid, pids):
    eventually(lambda: limpid.processes_are_gone(pids), CLEAN_WITHIN, "no process left")
    eventually(lambda: not lab.state_difference(), CLEAN_WITHIN, "nothing left in the kernel")


def test_a_killed_worker_is_replaced_and_its_flows_go_on(lab, run, family):
    limpid = run("--handover", "off")
    client, server = udp.flow(lab, family)
    for _ in range(3):
        worker = limpid.kill("worker")["worker"]
        eventually(lambda: udp.comes_through(client, server), 1.0, "a datagram and its answer")
        limpid.wait_replaced("worker", worker, 10)
    with udp.relayed(lab, family):
        assert udp.comes_through(client, server, 1.0)


@pytest.mark.parametrize("without_us", ["open", "closed"])
def test_while_no_worker_can_be_had_the_users_choice_holds(lab, run, family, without_us):
    limpid = run("--without-us", without_us)
    flows = Flows(lab, limpid, family)

    def let_go():
        status = limpid.status()
        if worker := status["pids"].get("worker"):
            os.kill(worker, signal.SIGKILL)
        # The sixth to die young is replaced 3.2 s later.
        return not status["conditions"]["taking"] and status["worker_restarts"] >= 5 and not worker

    eventually(let_go, 15, "no worker, its replacement put off")
    if without_us == "open":
        flows.expect_direct()
    else:
        assert udp.refusal(udp.client(lab, family)) in udp.REFUSALS
    limpid.wait_status(lambda status: status["state"] == "ready", "a worker again", 20)
    flows.expect_taken()
    limpid.stop()
    run.withdraw()


def test_a_killed_watcher_is_replaced_and_no_flow_notices(lab, run, family):
    limpid = run("--handover", "off")
    client, server = udp.flow(lab, family)
    watcher = limpid.kill("watcher")["watcher"]
    with udp.relayed(lab, family):
        for _ in range(10):
            udp.exchange(client, server)
        limpid.wait_replaced("watcher", watcher)
        udp.exchange(client, server)


def test_a_killed_supervisor_open_lets_flows_go_on_directly(lab, run, family):
    limpid = run()
    flows = Flows(lab, limpid, family)
    pids = limpid.kill("supervisor")
    flows.expect_direct()
    expect_clean(lab, limpid, pids)
    flows.expect_direct()
    os.unlink(run.control)


def test_everything_killed_open_lets_flows_go_on_directly(lab, run, family):
    limpid = run()
    flows = Flows(lab, limpid, family)
    pids = limpid.kill(*ALL)
    flows.expect_direct()
    eventually(lambda: limpid.processes_are_gone(pids), CLEAN_WITHIN, "no process left")
    run.withdraw()
    assert not lab.state_difference()
    flows.expect_direct()


@pytest.mark.parametrize("roles", [("supervisor",), ALL], ids=["supervisor", "everything"])
def test_killed_closed_refuses_until_withdrawn(lab, run, family, roles):
    limpid = run("--without-us", "closed")
    flows = Flows(lab, limpid, family)
    pids = limpid.kill(*roles)
    flows.expect_refused()
    eventually(lambda: limpid.processes_are_gone(pids), CLEAN_WITHIN, "no process left")
    flows.expect_refused()
    run.withdraw()
    assert not lab.state_difference()
    flows.expect_direct()


def test_everything_killed_closed_refuses_until_the_next_start_serves_again(lab, run, family):
    flows = Flows(lab, limpid := run("--without-us", "closed"), family)
    limpid.kill(*ALL)
    flows.expect_refused()
    limpid = run("--without-us", "closed")
    flows.expect_taken()
    assert limpid.stop() == 0
    flows.expect_refused()
    run.withdraw()
    flows.expect_direct()


def test_killed_closed_refuses_local_programs_too(lab, run, family):
    run("--local", "--without-us", "closed").kill(*ALL)
    server = udp.bound(lab, family)
    assert udp.refusal(udp.client(lab, family, namespace=lab.gateway)) in (errno.EPERM, *udp.REFUSALS)
    run.withdraw()
    udp.exchange(udp.client(lab, family, namespace=lab.gateway), server)


def test_the_guard_spares_what_is_never_taken(lab, run, family):
    run("--without-us", "closed", "--bypass", family.server_alias).kill(*ALL)
    server = udp.bound(lab, family)
    other = udp.bound(lab, family, port=8081)
    gateway = udp.bound(lab, family, lab.gateway)
    udp.exchange(udp.client(lab, family, family.server_alias), server)
    udp.exchange(udp.client(lab, family, port=8081), other)
    udp.exchange(udp.client(lab, family, family.gateway_lan), gateway)
    assert udp.refusal(udp.client(lab, family)) in udp.REFUSALS
    run.withdraw()


def test_the_guard_spares_what_servers_send(lab, run, family):
    run("--without-us", "closed").kill(*ALL)
    server = udp.bound(lab, family, address=family.server)
    client = udp.bound(lab, family, lab.client, port=40000)
    server.sendto(b"news", (family.client, 40000))
    assert udp.receive(client).source == (family.server, PORT)
    run.withdraw()


def test_everything_killed_is_cleaned_up_by_the_next_start(lab, run, family):
    limpid = run()
    flows = Flows(lab, limpid, family)
    limpid.kill(*ALL)
    limpid = run()
    flows.expect_taken()
    assert limpid.handed_over() == []
    limpid.stop()
    flows.expect_direct()


def test_nothing_of_ours_is_left_when_limpid_dies_again_and_again(lab, run, family):
    server = udp.bound(lab, family)
    client = udp.client(lab, family)
    for _ in range(3):
        limpid = run()
        udp.hand_over(limpid, client, server)
        expect_clean(lab, limpid, limpid.kill("supervisor"))
    os.unlink(run.control)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["sigterm", "sigint"])
def test_a_signal_ends_it_at_once_and_flows_go_on_directly(lab, run, family, number):
    limpid = run("--drain-timeout", "60s")
    flows = Flows(lab, limpid, family)
    limpid.signal(number)
    assert limpid.wait(3.0) == 0
    assert not lab.state_difference()
    flows.expect_direct()


def test_while_sessions_of_tcp_drain_flows_go_directly(lab, run, family):
    limpid = run("--tcp", "8080")
    ends = lab.session(family)
    flows = Flows(lab, limpid, family)
    limpid.signal(signal.SIGTERM)
    limpid.wait_status(lambda status: status["state"] == "draining", "draining")
    flows.expect_direct()
    traffic.exchange(*ends)
    traffic.finish(*ends)
    assert limpid.wait() == 0
    flows.expect_direct()


def test_withdraw_asks_a_running_one_to_take_everything_back(lab, run, family):
    limpid = run("--without-us", "closed")
    flows = Flows(lab, limpid, family)
    assert run.withdraw().returncode == 0
    assert limpid.wait() == 0
    flows.expect_direct()


def test_the_first_datagram_after_ready_is_taken(lab, run, family):
    server = udp.bound(lab, family)
    run()
    with udp.relayed(lab, family):
        udp.exchange(udp.client(lab, family), server)
