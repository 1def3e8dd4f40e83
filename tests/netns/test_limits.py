# SPDX-License-Identifier: MIT
# Many at once, and more than there is room for.
import fcntl
import os

from support import processes, traffic
from support.deadline import eventually, stays_silent
from support.families import FAMILIES, IPV4
from support.lab import reset_on_close
from support.limpid import SANITIZED

SESSIONS = 2000
MEMORY_PER_IDLE_SESSION = 4096


def test_two_thousand_sessions_at_once_in_little_memory(lab, limpid):
    worker = limpid.pids()["worker"]
    for family in FAMILIES:
        client, server = lab.session(family)
        traffic.exchange(client, server)
        traffic.finish(client, server)
    limpid.wait_sessions(0)
    before = processes.resident_bytes(worker)
    ends = [lab.session(FAMILIES[number % 2]) for number in range(SESSIONS)]
    for number, (client, server) in enumerate(ends):
        traffic.exchange(client, server, number.to_bytes(4, "big"), (~number & 0xFFFFFFFF).to_bytes(4, "big"))
    assert limpid.wait_sessions(SESSIONS)["counters"]["source_port_kept"] == SESSIONS + 2
    each = (processes.resident_bytes(worker) - before) / SESSIONS
    print(f"memory per idle session: {each:.0f} bytes")
    assert SANITIZED or each <= MEMORY_PER_IDLE_SESSION
    for client, server in ends:
        traffic.finish(client, server)
    limpid.wait_sessions(0)


def test_memory_and_descriptors_are_given_back(lab, limpid):
    worker = limpid.pids()["worker"]

    def load():
        ends = [lab.session(IPV4) for _ in range(300)]
        for client, server in ends:
            traffic.exchange(client, server, bytes(10000), bytes(10000))
        for client, server in ends:
            traffic.finish(client, server)
        limpid.wait_sessions(0)
        return len(processes.descriptors(worker)), processes.resident_bytes(worker)

    first_descriptors, first_memory = load()
    for _ in range(3):
        descriptors, memory = load()
    assert descriptors <= first_descriptors
    assert SANITIZED or memory - first_memory < 512 * 1024


def wait_without_spinning(worker, sockets, seconds=0.5):
    before = processes.cpu_seconds(worker)
    assert stays_silent(sockets, seconds)
    assert processes.cpu_seconds(worker) - before < 0.1 * seconds


def test_at_the_configured_limit_connections_wait_for_a_place(lab, run, family):
    limpid = run("--sessions", "3")
    assert limpid.status()["sessions_max"] == 3
    ends = [lab.session(family) for _ in range(3)]
    waiting = lab.connect(family)
    waiting.sendall(b"patience")
    listener = lab.listener(family)
    wait_without_spinning(limpid.pids()["worker"], [waiting, listener])
    for client, server in ends:
        traffic.exchange(client, server)
    traffic.finish(*ends[0])
    assert traffic.receive_exactly(lab.accept(family), 8) == b"patience"


def test_with_few_descriptors_connections_wait_and_none_is_harmed(lab, run, family):
    limpid = run(launcher=("prlimit", "--nofile=256:256"))
    places = limpid.status()["sessions_max"]
    assert 16 <= places <= 127
    ends = [lab.session(family) for _ in range(places)]
    excess = [lab.connect(family) for _ in range(20)]
    listener = lab.listener(family)
    wait_without_spinning(limpid.pids()["worker"], [*excess, listener])
    for client, server in ends:
        traffic.exchange(client, server)
        traffic.finish(client, server)
    for _ in excess:
        server = lab.accept(family)
        server.sendall(b"at last")
    for client in excess:
        assert traffic.receive_exactly(client, 7) == b"at last"


def test_descriptors_that_run_out_unforeseen_are_waited_for(lab, run, tmp_path, family):
    # The kernel refuses each thread's third to sixth accept4(2), as when the whole machine has no file left.
    trace = tmp_path / "trace"
    inject = ("-e", "trace=accept4", "-e", "inject=accept4:error=ENFILE:when=3..6")
    limpid = run(launcher=("strace", "-D", "-f", "-qq", "-o", trace, *inject))
    ends = [lab.session(family) for _ in range(12)]
    for client, server in ends:
        traffic.exchange(client, server)
    assert limpid.counter("accepted") == 12
    assert "INJECTED" in trace.read_text()


def test_an_access_log_that_nobody_reads_blocks_no_session(lab, run):
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    try:
        limpid = run(stdout=writer)
        count = 0

        def lines_are_lost():
            nonlocal count
            for _ in range(500):
                client, server = lab.session(IPV4)
                client.sendall(b"x")
                reset_on_close(client).close()
                server.close()
            count += 500
            return limpid.counter("log_lines_lost") > 0

        eventually(lines_are_lost, 60, "lines counted as lost")
        limpid.wait_sessions(0)
        assert sum(limpid.status()["counters"]["close_reasons"].values()) == count
        assert limpid.stop() == 0
    finally:
        os.close(reader)
        os.close(writer)


def test_an_access_log_whose_reader_has_gone_ends_nothing(lab, run, family):
    reader, writer = os.pipe()
    limpid = run(stdout=writer)
    os.close(reader)
    os.close(writer)
    for _ in range(20):
        client, server = lab.session(family)
        traffic.exchange(client, server)
        traffic.finish(client, server)
    assert limpid.wait_sessions(0)["state"] == "ready"


def test_an_idle_limpid_uses_no_processor(lab, limpid, family):
    ends = [lab.session(family) for _ in range(50)]
    for client, server in ends:
        traffic.exchange(client, server)
    pids = limpid.pids().values()
    before = [processes.cpu_seconds(pid) for pid in pids]
    assert stays_silent([client for client, _ in ends], 1.0)
    assert sum(processes.cpu_seconds(pid) for pid in pids) - sum(before) < 0.05
