# SPDX-License-Identifier: MIT
# What is told of each flow: one line of the access log, and the counters.
import json
import os
import signal

import pytest
from support import traffic, udp
from support.deadline import eventually, stays_silent
from support.lab import PORT
from support.runner import TAKE_UDP

DEFAULTS = TAKE_UDP


def expect_line(line, client, **wanted):
    told = {key: line[key] for key in ("proto", "client", "source_kept", *wanted)}
    assert told == {"proto": "udp", "client": udp.name(client), "source_kept": "port", **wanted}
    assert line["time"] and line["duration"] >= 0


def test_a_flow_is_one_line_once_it_is_idle(lab, run, family):
    limpid = run("--answered-timeout", "2s", "--handover", "off")
    client, server = udp.flow(lab, family)
    for _ in range(3):
        assert stays_silent([client, server], 0.2)
        udp.exchange(client, server, b"12345", b"123")  # the last datagram either way counts
    assert limpid.access_log() == []
    (line,) = limpid.sessions_logged(1)
    expect_line(
        line, client, destination=family.text(family.server, PORT), datagrams_up=3, datagrams_down=3, bytes_up=15,
        bytes_down=9, via="relay", reason="idle_timeout",
    )  # fmt: skip
    assert line["duration"] < 5
    limpid.wait_status(lambda status: status["udp"]["flows"] == 0, "no flow")
    udp.exchange(client, server)
    assert limpid.stop() == 0
    assert len(limpid.access_log()) == 2


def test_a_flow_that_nobody_answers_is_unanswered(lab, run, family):
    limpid = run("--unanswered-timeout", "300ms")
    client, server = udp.flow(lab, family)
    client.send(b"hello?")
    (line,) = limpid.sessions_logged(1)
    expect_line(
        line, client, datagrams_up=1, datagrams_down=0, bytes_up=6, bytes_down=0, via="relay", reason="unanswered"
    )
    udp.receive(server)
    udp.exchange(client, server)
    limpid.wait_udp(flows=2, datagrams_up=2, datagrams_down=1)


def test_an_answered_flow_does_not_end_at_the_time_of_unanswered_ones(lab, run, family):
    limpid = run("--unanswered-timeout", "200ms", "--handover", "off")
    client, server = udp.flow(lab, family)
    for _ in range(2):
        udp.exchange(client, server)
    assert stays_silent([client, server], 0.6)
    assert limpid.access_log() == []
    assert limpid.status()["udp"]["flows"] == 1


def test_a_question_and_its_answer_are_done_at_once_on_port_53(lab, run, family):
    limpid = run(defaults=("--interface", "lan0", "--udp", "53,8080"))
    question, resolver = udp.flow(lab, family, port=53)
    udp.exchange(question, resolver, b"12345", b"123")
    (line,) = limpid.sessions_logged(1, deadline=1.0)
    expect_line(line, question, datagrams_up=1, datagrams_down=1, bytes_up=5, bytes_down=3, via="relay", reason="done")
    assert limpid.status()["udp"]["flows"] == 0
    client, server = udp.flow(lab, family)
    udp.exchange(client, server)
    assert limpid.status()["udp"]["flows"] == 1
    udp.exchange(question, resolver)
    assert len(limpid.sessions_logged(2)) == 2


def test_a_question_and_its_answer_are_done_after_a_moment_elsewhere(lab, limpid, family):
    client, server = udp.flow(lab, family)
    udp.exchange(client, server)
    (line,) = limpid.sessions_logged(1, deadline=8.0)
    expect_line(line, client, datagrams_up=1, datagrams_down=1, via="relay", reason="done")


@pytest.mark.parametrize("exchanges", [5, 8, 9, 30, 200])
def test_a_flow_handed_over_is_one_line_with_all_its_datagrams(lab, run, family, exchanges):
    limpid = run("--answered-timeout", "2s")
    client, server = udp.flow(lab, family)
    for _ in range(exchanges):
        udp.exchange(client, server, b"12345", b"123")
    (line,) = limpid.sessions_logged(1)
    expect_line(
        line, client, destination=family.text(family.server, PORT), datagrams_up=exchanges, datagrams_down=exchanges,
        bytes_up=5 * exchanges, bytes_down=3 * exchanges, via="kernel", reason="idle_timeout",
    )  # fmt: skip
    limpid.wait_status(lambda status: status["udp"] == {"flows": 0, "handed_over": 0}, "no flow")
    assert limpid.stop() == 0
    assert len(limpid.access_log()) == 1


def test_a_flow_taken_back_is_one_line_with_all_its_datagrams(lab, run, family):
    limpid = run("--answered-timeout", "2s")
    client, server = udp.flow(lab, family)
    udp.hand_over(limpid, client, server, message=b"12345", reply=b"123")
    udp.exchange(client, server, b"12345", b"123")
    limpid.command("flows", "--take-back", "all")
    udp.exchange(client, server, b"12345", b"123")
    count = udp.HANDOVER_AFTER // 2 + 3
    (line,) = limpid.sessions_logged(1)
    expect_line(
        line, client, datagrams_up=count, datagrams_down=count, bytes_up=5 * count, bytes_down=3 * count,
        reason="idle_timeout",
    )  # fmt: skip
    assert limpid.stop() == 0
    assert len(limpid.access_log()) == 1


def test_a_flow_taken_back_that_stays_idle_is_one_line_too(lab, run, family):
    limpid = run("--answered-timeout", "2s")
    client, server = udp.flow(lab, family)
    udp.hand_over(limpid, client, server)
    limpid.command("flows", "--take-back", "all")
    (line,) = limpid.sessions_logged(1)
    count = udp.HANDOVER_AFTER // 2 + 1
    expect_line(line, client, datagrams_up=count, datagrams_down=count, reason="idle_timeout")


def test_what_comes_back_to_a_local_program_is_not_known(lab, run, family):
    limpid = run("--local", "--answered-timeout", "2s", "--handover", "off")
    client, server = udp.flow(lab, family, namespace=lab.gateway)
    for count in 1, 2:
        for _ in range(count):
            udp.exchange(client, server, b"12345", b"123")
        line = limpid.sessions_logged(count)[-1]
        expect_line(
            line, client, datagrams_up=count, bytes_up=5 * count, datagrams_down=None, bytes_down=None, via="relay",
            reason="done" if count == 1 else "idle_timeout",
        )  # fmt: skip


def test_of_a_local_flow_handed_over_all_is_known_that_the_kernel_carries(lab, run, family):
    limpid = run("--local", "--answered-timeout", "2s")
    client, server = udp.flow(lab, family, namespace=lab.gateway)
    for _ in range(udp.HANDOVER_AFTER):
        udp.exchange(client, server, b"12345", b"123")
    eventually(lambda: udp.entry(limpid, client), 0.4, "the flow handed over")
    for _ in range(10):
        udp.exchange(client, server, b"12345", b"123")
    (line,) = limpid.sessions_logged(1)
    expect_line(line, client, datagrams_up=udp.HANDOVER_AFTER + 10, via="kernel", reason="idle_timeout")
    assert line["datagrams_down"] >= 10


def test_what_is_alive_at_the_end_is_withdrawn_and_goes_on(lab, run, family):
    limpid = run()
    server = udp.bound(lab, family)
    relayed, forwarded = udp.client(lab, family), udp.client(lab, family)
    udp.exchange(relayed, server)
    udp.hand_over(limpid, forwarded, server)
    assert limpid.stop() == 0
    lines = {line["client"]: line for line in limpid.access_log()}
    assert len(limpid.access_log()) == 2
    expect_line(lines[udp.name(relayed)], relayed, datagrams_up=1, datagrams_down=1, via="relay", reason="withdrawn")
    count = udp.HANDOVER_AFTER // 2 + 1
    expect_line(
        lines[udp.name(forwarded)], forwarded, datagrams_up=count, datagrams_down=count, via="kernel",
        reason="withdrawn",
    )  # fmt: skip
    for client in relayed, forwarded:
        udp.exchange(client, server)


def test_tcp_and_udp_are_told_apart(lab, run, family):
    limpid = run("--tcp", "8080", "--unanswered-timeout", "100ms")
    client = udp.client(lab, family, port=PORT)
    udp.bound(lab, family)
    client.send(b"?")
    traffic.finish(*lab.session(family))
    lines = {line["proto"]: line for line in limpid.sessions_logged(2)}
    assert (lines["tcp"]["via"], lines["tcp"]["reason"]) == ("relay", "done")
    assert (lines["udp"]["via"], lines["udp"]["reason"]) == ("relay", "unanswered")


def test_the_access_log_can_be_off(lab, run, family):
    limpid = run("--access-log", "off", "--answered-timeout", "2s")
    client, server = udp.flow(lab, family)
    udp.hand_over(limpid, client, server)
    limpid.wait_status(lambda status: status["udp"]["handed_over"] == 0, "no flow")
    udp.exchange(client, server)
    assert limpid.stop() == 0
    assert limpid.access_log() == []


def test_the_access_log_is_opened_again_on_sigusr1(lab, run, tmp_path, family):
    log = tmp_path / "access.log"
    limpid = run("--access-log", log, "--answered-timeout", "2s")
    server = udp.bound(lab, family)

    def leave_a_line_of_each():
        relayed, forwarded = udp.client(lab, family), udp.client(lab, family)
        udp.exchange(relayed, server)
        udp.hand_over(limpid, forwarded, server)
        wanted = [f'"client":"{udp.name(relayed)}"', f'"client":"{udp.name(forwarded)}"']
        eventually(lambda: log.exists() and all(words in log.read_text() for words in wanted), what="both lines")

    leave_a_line_of_each()
    os.rename(log, tmp_path / "access.log.1")
    limpid.signal(signal.SIGUSR1)
    eventually(log.exists, what="a new log")
    leave_a_line_of_each()
    assert [path.read_text().count("\n") for path in (log, tmp_path / "access.log.1")] == [2, 2]


def test_status_tells_of_flows_and_datagrams(lab, run, family):
    limpid = run("--handover", "off")
    server = udp.bound(lab, family)
    for _ in range(3):
        udp.exchange(udp.client(lab, family), server, b"12345", b"123")
    status = limpid.wait_udp(datagrams_down=3)
    assert status["udp"] == {"flows": 3, "handed_over": 0}
    assert status["counters"]["udp"] == {
        "flows": 3, "datagrams_up": 3, "datagrams_down": 3, "bytes_up": 15, "bytes_down": 9, "handed_over": 0,
        "taken_back": 0, "evicted_table": 0, "evicted_client": 0, "send_refused": 0, "answers_refused": 0,
        "dropped": 0,
    }  # fmt: skip
    said = limpid.command("status").stdout
    assert "udp" in said.lower() and "datagrams" in said
    with pytest.raises(json.JSONDecodeError):
        json.loads(said)
