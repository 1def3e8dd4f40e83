# SPDX-License-Identifier: MIT
# A flow that the kernel forwards is in the access log with all that was known of it when it was decided about.
import pytest
from support import quic, udp
from support.settings import intercept, limits, rule

HOST = "x.limpid.test"
INTERCEPT = intercept(udp=["8080"])
IMPATIENT = limits(answered_timeout="2s")
NAMED = {"name": "quic \u00fc", "host": [HOST], "proto": "udp"}


def handed_over(lab, limpid, family, first=b""):
    client, server = udp.flow(lab, family)
    udp.exchange(client, server, first or quic.initial(HOST))
    udp.hand_over(limpid, client, server)
    return client, server


def reload(limpid, *tables, words=()):
    with open(limpid.process.args[-1], "w") as config:
        config.write("".join(tables))
    limpid.command("reload", *words)


def label(line):
    return {key: line[key] for key in ("via", "rule", "host", "app", "upstream")}


def test_a_flow_handed_over_keeps_its_rule_host_and_application(lab, run, family):
    limpid = run.configured(INTERCEPT, IMPATIENT, rule(**NAMED, action="direct"))
    handed_over(lab, limpid, family)
    (line,) = limpid.sessions_logged(1)
    assert label(line) == {"via": "kernel", "rule": NAMED["name"], "host": HOST, "app": "quic", "upstream": None}


def test_a_flow_of_a_rule_that_asks_for_no_name_has_none(lab, run, family):
    limpid = run.configured(INTERCEPT, IMPATIENT, rule(name="day", time="00:00-24:00", action="direct"))
    handed_over(lab, limpid, family, b"?")
    (line,) = limpid.sessions_logged(1)
    assert label(line) == {"via": "kernel", "rule": "day", "host": None, "app": None, "upstream": None}


def test_a_reload_changes_nothing_that_is_told_of_a_flow(lab, run, family):
    limpid = run.configured(INTERCEPT, IMPATIENT, rule(**NAMED, action="direct"))
    handed_over(lab, limpid, family)
    reload(limpid, INTERCEPT, IMPATIENT, rule(name="other", host=["other.example"], action="reject"))
    (line,) = limpid.sessions_logged(1)
    assert label(line) == {"via": "kernel", "rule": NAMED["name"], "host": HOST, "app": "quic", "upstream": None}


def test_a_flow_taken_back_is_told_of_as_before(lab, run, family):
    limpid = run.configured(INTERCEPT, IMPATIENT, rule(**NAMED, action="direct"))
    handed_over(lab, limpid, family)
    limpid.command("flows", "--take-back", "all")
    (line,) = limpid.sessions_logged(1)
    assert label(line) == {"via": "relay", "rule": NAMED["name"], "host": HOST, "app": "quic", "upstream": None}


def test_a_flow_that_is_refused_is_never_handed_over(lab, run, family):
    limpid = run.configured(INTERCEPT, rule(**NAMED, action="reject"))
    client, server = udp.flow(lab, family)
    client.send(quic.initial(HOST))
    with pytest.raises(OSError) as refused:
        client.recv(1)
    assert refused.value.errno in udp.REFUSALS
    # As if it had been asked: what it says belongs to that flow.
    udp.carry_back(client, server, [udp.payload(number, 50) for number in range(2 * udp.HANDOVER_AFTER)])
    limpid.wait_udp(datagrams_down=2 * udp.HANDOVER_AFTER)
    assert limpid.handed_over() == []
    assert udp.refusal(client) in udp.REFUSALS


@pytest.mark.parametrize("host", [HOST, "other.example"], ids=["refused", "another"])
def test_a_reload_with_enforce_ends_a_flow_by_its_host(lab, run, family, host):
    limpid = run.configured(INTERCEPT, rule(**NAMED, action="direct"))
    client, server = handed_over(lab, limpid, family)
    reload(limpid, INTERCEPT, rule(name="new", host=[host], action="reject"), words=["--enforce"])
    if host != HOST:
        assert udp.entry(limpid, client)
        return
    (line,) = limpid.sessions_logged(1)
    assert (line["client"], line["host"], line["reason"]) == (udp.name(client), HOST, "rejected")
    assert limpid.handed_over() == []
