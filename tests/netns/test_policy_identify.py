# SPDX-License-Identifier: MIT
# The first bytes, in whatever pieces and at whatever pace they come: nothing of them is lost, and nobody waits in vain.
import os
import socket
import time

import pytest
from support import mail, tls, traffic
from support.deadline import stays_silent
from support.families import FAMILIES
from support.lab import PORT, reset_on_close
from support.outcomes import exchange_streams, http_request, is_reset
from support.settings import intercept, limits, rule

ADS = rule(name="no ads", host=["*.ads.example"], action="reject")
PATIENT = limits(identify_timeout="10s")  # longer than any test waits: what is decided is decided by the bytes
IMPATIENT = limits(identify_timeout="300ms")
KIB = 1 << 10


def drip(sock, data, pause=0):
    """Byte by byte, a segment each."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for value in data:
        sock.sendall(bytes([value]))
        if pause and not stays_silent([sock], pause):
            return


def first_bytes(host):
    hello = tls.client_hello(host)
    return {"tls": hello, "tls_in_records": tls.in_records(hello, 7), "http": http_request(host)}


CARRIERS = ("tls", "tls_in_records", "http")


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_host_that_comes_byte_by_byte_is_found(lab, run, family, carrier):
    limpid = run.configured(intercept(), PATIENT, ADS)
    lab.listener(family)
    client = lab.connect(family)
    with pytest.raises(ConnectionResetError):
        drip(client, first_bytes("x.ads.example")[carrier])
        traffic.receive_all(client)
    (line,) = limpid.sessions_logged(1)
    assert (line["host"], line["app"], line["reason"]) == ("x.ads.example", carrier.partition("_")[0], "rejected")


@pytest.mark.parametrize("carrier", CARRIERS)
def test_what_was_read_to_find_the_host_reaches_the_destination_first(lab, run, family, carrier):
    limpid = run.configured(intercept(), PATIENT, ADS)
    lab.listener(family)
    says = first_bytes("good.example")[carrier]
    client = lab.connect(family)
    drip(client, says)
    server = lab.accept(family)
    assert traffic.receive_exactly(server, len(says)) == says
    exchange_streams(client, server)
    traffic.finish(client, server)
    (line,) = limpid.sessions_logged(1)
    assert (line["host"], line["rule"], line["reason"]) == ("good.example", None, "done")
    assert line["bytes_up"] == len(says) + (1 << 20)


GARBAGE = {
    "noise": b"\0" + os.urandom(64 * KIB - 1),
    "zeros": bytes(64 * KIB),
    "an_endless_http_line": b"GET /" + b"a" * (64 * KIB - 5),
    "endless_http_headers": b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * (11 * KIB - 3),
    "a_record_too_long": b"\x16\x03\x01\xff\xff" + os.urandom(64 * KIB - 5),
    "a_hello_too_long": b"\x16\x03\x01\x40\x00\x01\xff\xff\xff" + os.urandom(64 * KIB - 9),
    "records_of_nothing": b"\x16\x03\x01\x00\x00" * (13 * KIB),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_carried_as_it_is(lab, run, family, name):
    limpid = run.configured(intercept(), IMPATIENT, ADS)
    lab.listener(family)
    client = lab.connect(family)
    sending = traffic.Background(client.sendall, GARBAGE[name])
    server = lab.accept(family)
    assert traffic.receive_exactly(server, len(GARBAGE[name])) == GARBAGE[name]
    sending.result()
    traffic.finish(client, server)
    (line,) = limpid.sessions_logged(1)
    assert (line["host"], line["rule"], line["reason"]) == (None, None, "done")


def test_a_client_that_stops_in_the_middle_of_its_host_waits_no_longer_than_the_timeout(lab, run, family):
    limpid = run.configured(intercept(), IMPATIENT, ADS)
    lab.listener(family)
    hello = tls.client_hello("x.ads.example")
    client = lab.connect(family)
    client.sendall(hello[:20])
    server = lab.accept(family)
    assert traffic.receive_exactly(server, 20) == hello[:20]
    client.sendall(hello[20:])  # too late to be looked at
    assert traffic.receive_exactly(server, len(hello) - 20) == hello[20:]
    traffic.finish(client, server)
    (line,) = limpid.sessions_logged(1)
    assert (line["host"], line["rule"], line["reason"]) == (None, None, "done")


def test_the_timeout_does_not_begin_anew_with_each_byte(lab, run, family):
    run.configured(intercept(), IMPATIENT, ADS)
    lab.listener(family)
    started = time.monotonic()
    client = lab.connect(family)
    hello = tls.client_hello("x.ads.example")[:60]
    dripping = traffic.Background(drip, client, hello, 0.05)
    server = lab.accept(family)
    assert time.monotonic() - started < 2
    assert traffic.receive_exactly(server, len(hello)) == hello
    dripping.result()


def test_a_client_that_finishes_in_the_middle_of_its_host_is_carried(lab, run, family):
    run.configured(intercept(), PATIENT, ADS)
    lab.listener(family)
    client = lab.connect(family)
    client.sendall(tls.client_hello("x.ads.example")[:100])
    client.shutdown(socket.SHUT_WR)
    server = lab.accept(family)
    assert len(traffic.receive_all(server)) == 100
    server.sendall(b"an alert")
    server.close()
    assert traffic.receive_all(client) == b"an alert"


def test_a_client_that_is_gone_before_it_said_anything_leaves_nothing(lab, run, family):
    limpid = run.configured(intercept(), PATIENT, ADS)
    lab.listener(family)
    reset_on_close(lab.connect(family)).close()
    (line,) = limpid.sessions_logged(1)
    assert line["reason"] == "client_reset"
    limpid.wait_sessions(0)


def greeting_delay(lab, family):
    """How long a client waits for the first words of a server that speaks first."""
    lab.listener(family)
    started = time.monotonic()
    client = lab.connect(family)
    lab.accept(family).sendall(b"220 ready\r\n")
    assert traffic.receive_exactly(client, 11) == b"220 ready\r\n"
    return time.monotonic() - started


def test_a_server_that_speaks_first_is_heard_at_once_where_no_rule_needs_a_name(lab, run, family):
    run.configured(
        intercept(),
        PATIENT,
        rule(port=["8443"], host=["*.ads.example"], action="reject"),
        rule(to=[family.server_alias], app=["ssh"], action="reject"),
        rule(to=[family.server], action="direct"),
        ADS,  # never asked: the rule before it has decided
    )
    assert greeting_delay(lab, family) < 1


def test_mail_is_sent_without_delay_where_no_rule_needs_a_name(lab, run, tmp_path, family):
    limpid = run.configured(intercept(), PATIENT, rule(port=["8443"], host=["*.ads.example"], action="reject"))
    with mail.smtpd(lab.server, tmp_path, [each.server for each in FAMILIES], PORT):
        started = time.monotonic()
        sent = mail.send(lab.client, family, PORT, "Subject: hello\n\nworld\n")
        assert time.monotonic() - started < 5
    assert sent.returncode == 0, sent.stderr
    assert "< 250 2.0.0" in sent.stderr
    (line,) = limpid.sessions_logged(1)
    assert (line["rule"], line["app"], line["reason"]) == (None, None, "done")


def test_a_server_that_speaks_first_is_heard_after_the_timeout_where_a_rule_needs_a_name(lab, run, family):
    run.configured(intercept(), IMPATIENT, ADS)
    assert 0.25 < greeting_delay(lab, family) < 2


def test_a_rule_before_it_that_matches_spares_the_wait(lab, run, family):
    run.configured(intercept(), PATIENT, rule(name="no", action="reject"), ADS)
    started = time.monotonic()
    assert is_reset(lab, family)
    assert time.monotonic() - started < 1
