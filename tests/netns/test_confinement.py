# SPDX-License-Identifier: MIT
# What each process may do, as the kernel sees it.
import os
import re

from support import processes, traffic
from support.families import IPV4

NET_BIND_SERVICE, NET_ADMIN, NET_RAW = 10, 12, 13
SUPERVISOR = {"KILL": 5, "SETGID": 6, "SETUID": 7, "SETPCAP": 8, "NET_BIND_SERVICE": 10, "NET_ADMIN": 12, "NET_RAW": 13,
              "SYS_RESOURCE": 24}  # fmt: skip


def capabilities(text):
    value = int(text, 16)
    return {number for number in range(64) if value >> number & 1}


def test_the_worker_has_two_capabilities_and_a_uid_of_its_own(limpid):
    worker = processes.status(limpid.pids()["worker"])
    for name in "CapEff", "CapPrm":
        assert capabilities(worker[name]) == {NET_BIND_SERVICE, NET_RAW}
    assert capabilities(worker["CapBnd"]) <= {NET_BIND_SERVICE, NET_RAW}
    for ids in worker["Uid"].split(), worker["Gid"].split():
        assert len(set(ids)) == 1
        assert ids[0] not in ("0", "65534")
    assert worker["Groups"] == ""
    assert worker["NoNewPrivs"] == "1"
    assert worker["Seccomp"] == "2"


def test_the_worker_is_not_dumpable(limpid):
    assert os.stat(f"/proc/{limpid.pids()['worker']}/mem").st_uid == 0


def test_the_worker_holds_tcp_sockets_and_no_door_to_the_kernels_tables(lab, limpid):
    traffic.exchange(*lab.session(IPV4))
    worker = limpid.pids()["worker"]
    held = set(re.findall(r"socket:\[(\d+)\]", " ".join(processes.descriptors(worker).values())))
    assert held
    for table in "netlink", "packet", "raw", "raw6":
        assert not held & processes.socket_inodes(worker, table), table


def test_the_watcher_has_one_capability_and_no_socket_of_the_network(limpid):
    watcher = limpid.pids()["watcher"]
    status = processes.status(watcher)
    assert capabilities(status["CapEff"]) == {NET_ADMIN}
    assert status["NoNewPrivs"] == "1"


def test_the_supervisor_is_bounded(limpid):
    supervisor = processes.status(limpid.pids()["supervisor"])
    available = capabilities(processes.status("self")["CapBnd"])  # a container's root may have fewer
    assert capabilities(supervisor["CapBnd"]) == set(SUPERVISOR.values()) & available


def test_a_worker_user_that_exists_is_used(run):
    limpid = run("--user", "daemon")
    assert processes.status(limpid.pids()["worker"])["Uid"].split()[0] == "1"


def test_a_worker_user_that_does_not_exist_is_replaced_and_said(run):
    limpid = run("--user", "limpid-of-nowhere")
    uid = int(processes.status(limpid.pids()["worker"])["Uid"].split()[0])
    assert uid > 60000 and uid != 65534
    assert "limpid-of-nowhere" in limpid.stderr()


def test_the_worker_is_never_root(run):
    code, said = run.refused("--user", "root")
    assert code == 2
    assert "root" in said


def test_the_control_socket_is_roots_alone(run):
    run()
    mode = os.stat(run.control)
    assert mode.st_mode & 0o777 == 0o600
    assert mode.st_uid == 0


def test_a_worker_replaced_is_confined_as_the_first_was(lab, limpid):
    first = limpid.pids()["worker"]
    wanted = {key: processes.status(first)[key] for key in ("Uid", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp")}
    limpid.kill("worker")
    second = limpid.wait_replaced("worker", first)["pids"]["worker"]
    assert {key: processes.status(second)[key] for key in wanted} == wanted
    traffic.exchange(*lab.session(IPV4))


def test_with_udp_the_worker_holds_raw_sockets_too_and_no_door_to_the_kernels_tables(lab, run):
    limpid = run("--udp", "8080", "--local")
    worker = limpid.pids()["worker"]
    assert capabilities(processes.status(worker)["CapEff"]) == {NET_BIND_SERVICE, NET_RAW}
    held = set(re.findall(r"socket:\[(\d+)\]", " ".join(processes.descriptors(worker).values())))
    for table in "raw", "raw6":
        assert held & processes.socket_inodes(worker, table), table
    for table in "netlink", "packet":
        assert not held & processes.socket_inodes(worker, table), table
