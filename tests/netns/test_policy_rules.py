# SPDX-License-Identifier: MIT
# The first rule that matches decides: by client, destination, port, protocol, time, host and application.
import datetime

import pytest
from support import quic, tls, traffic, udp, web
from support.deadline import stays_silent
from support.outcomes import http_request, is_left_waiting, is_reset, nothing_reaches
from support.settings import intercept, limits, rule

ADS = {"name": "no ads", "host": ["*.ads.example", "tracker.example"], "action": "reject"}
ALWAYS = "00:00-24:00"  # only limpid can tell the time, so that it has to decide
SSH = b"SSH-2.0-OpenSSH_9.2p1\r\n"


@pytest.fixture
def website(lab, tmp_path):
    with web.website(lab.server, tmp_path):
        yield


def is_served(lab, family, **options):
    client, server = lab.session(family, **options)
    traffic.exchange(client, server)
    traffic.finish(client, server)
    return True


def test_without_a_rule_a_connection_goes_direct_and_the_log_has_every_field(lab, run, family):
    limpid = run.configured(intercept())
    assert is_served(lab, family)
    (line,) = limpid.sessions_logged(1)
    assert (line["rule"], line["upstream"], line["reason"]) == (None, None, "done")
    assert {"app", "host"} <= line.keys()


def test_a_rule_by_client(lab, run, family):
    second = family.second_client.partition("/")[0]
    lab.client.ip(f"address add {family.second_client} dev eth0 {'nodad' if family.version == 6 else ''}")
    run.configured(intercept(), rule(from_=["192.0.2.0/24", second], action="reject"))
    assert is_reset(lab, family, prepare=lambda sock: sock.bind((second, 0)))
    assert is_served(lab, family, prepare=lambda sock: sock.bind((family.client, 0)))


def test_a_rule_by_destination(lab, run, family):
    run.configured(intercept(), rule(to=["2001:db8::/32", family.server_alias], action="reject"))
    lab.listener(family)
    assert is_reset(lab, family, address=family.server_alias)
    assert is_served(lab, family)


def test_a_rule_by_port(lab, run, family):
    run.configured(intercept(), rule(port=["22", "8081-9000"], action="reject"))
    lab.listener(family, port=8081)
    assert is_reset(lab, family, port=8081)
    assert is_served(lab, family)


def test_all_conditions_of_a_rule_must_hold(lab, run, family):
    here = {"from_": [family.lan], "to": [family.server_alias], "port": ["8081"], "proto": "tcp"}
    run.configured(intercept(), rule(**here, action="reject"))
    lab.listener(family, port=8081)
    assert is_reset(lab, family, address=family.server_alias, port=8081)
    assert is_served(lab, family, address=family.server_alias)
    assert is_served(lab, family, port=8081)


def test_a_rule_of_another_protocol_does_not_match(lab, run, family):
    run.configured(intercept(), rule(proto="udp", action="reject"))
    assert is_served(lab, family)


def test_the_first_rule_that_matches_decides(lab, run, family):
    limpid = run.configured(
        intercept(),
        rule(name="one server", to=[family.server], time=ALWAYS, action="direct"),
        rule(name="the rest", time=ALWAYS, action="reject"),
        rule(name="too late", time=ALWAYS, action="direct"),
    )
    lab.listener(family)
    assert is_served(lab, family)
    assert is_reset(lab, family, address=family.server_alias)
    lines = sorted(limpid.sessions_logged(2), key=lambda line: line["time"])
    assert [(line["rule"], line["reason"]) for line in lines] == [("one server", "done"), ("the rest", "rejected")]


@pytest.mark.parametrize(("ends_in", "is_now"), [(1, True), (-1, False)], ids=["now", "over"])
def test_a_rule_by_time_of_day(lab, run, family, ends_in, is_now):
    # From two hours ago to an hour from now, or to an hour ago; either may have midnight in it.
    now = datetime.datetime.now()
    first, last = (now + datetime.timedelta(hours=hours) for hours in (-2, ends_in))
    run.configured(intercept(), rule(time=f"{first:%H:%M}-{last:%H:%M}", action="reject"))
    lab.listener(family)
    assert is_reset(lab, family) if is_now else is_served(lab, family)


def test_what_the_kernel_can_decide_it_refuses_itself(lab, run, family):
    limpid = run.configured(
        intercept(),
        rule(to=[family.server_alias], action="direct"),
        rule(port=["8080"], action="reject"),
        rule(app=["ssh"], action="drop"),
    )
    lab.listener(family)
    with nothing_reaches(lab.server):
        with pytest.raises(ConnectionRefusedError):
            lab.connect(family)
    # What goes direct meets no socket of ours.
    client, server = lab.session(family, address=family.server_alias)
    traffic.exchange(client, server)
    assert limpid.status()["sessions"] == 0
    traffic.finish(client, server)
    assert (limpid.access_log(), limpid.status()["counters"]["accepted"]) == ([], 0)


@pytest.mark.parametrize("says", [b"", SSH, tls.client_hello("tracker.example")], ids=["nothing", "ssh", "tls"])
def test_reject_is_a_reset_and_nothing_reaches_the_destination(lab, run, family, says):
    limpid = run.configured(intercept(), rule(name="no", time=ALWAYS, action="reject"))
    lab.listener(family)
    with nothing_reaches(lab.server):
        assert is_reset(lab, family, says)
        (line,) = limpid.sessions_logged(1)
    assert (line["reason"], line["rule"], line["upstream"]) == ("rejected", "no", None)
    assert limpid.close_reason("rejected") == 1


@pytest.mark.parametrize("says", [b"", SSH], ids=["nothing", "ssh"])
def test_drop_leaves_the_client_waiting_and_nothing_reaches_the_destination(lab, run, family, says):
    limpid = run.configured(intercept(), rule(name="no", time=ALWAYS, action="drop"))
    lab.listener(family)
    with nothing_reaches(lab.server):
        assert is_left_waiting(lab, family, says)
        (line,) = limpid.sessions_logged(1)
    assert (line["reason"], line["rule"], line["upstream"]) == ("dropped", "no", None)
    limpid.wait_sessions(0)


@pytest.mark.parametrize("way", web.WAYS)
def test_a_host_is_found_whatever_carries_its_name(lab, run, website, family, way):
    limpid = run.configured(intercept(), rule(**ADS))
    expected = {
        "a.b.ads.example": True, "tracker.example": True,
        "ads.example": False, "x.tracker.example": False, "badads.example": False, "good.example": False,
    }  # fmt: skip
    for host, is_refused in expected.items():
        visited = web.visit(lab.client, family, way, host)
        assert web.is_reset(visited) if is_refused else web.is_answered(visited, way, host), visited
    lines = limpid.sessions_logged(len(expected))
    assert {line["host"]: line["rule"] == "no ads" for line in lines} == expected
    assert {line["host"]: line["reason"] == "rejected" for line in lines} == expected
    assert {line["app"] for line in lines} == {"http" if way == "http" else "tls"}


@pytest.mark.parametrize("form", ["hosts", "plain"])
def test_a_host_file_is_a_list_of_hosts(lab, run, website, tmp_path, family, form):
    path = tmp_path / "list"
    path.write_text(
        "127.0.0.1 localhost\n0.0.0.0 tracker.example other.example # and more\n"
        if form == "hosts"
        else "# a list\r\n\r\n*.ads.example\r\ntracker.example\r\n"
    )
    run.configured(intercept(), rule(name="list", host_file=str(path), action="reject"))
    assert web.is_reset(web.visit(lab.client, family, "tls1.3", "tracker.example"))
    assert web.is_answered(web.visit(lab.client, family, "tls1.3", "good.example"), "tls1.3", "good.example")


@pytest.mark.parametrize("host", ["Tracker.EXAMPLE", "tracker.example.", "tracker.example:8080"])
def test_however_a_host_is_written_it_is_the_same(lab, run, family, host):
    limpid = run.configured(intercept(), rule(**ADS))
    lab.listener(family)
    assert is_reset(lab, family, http_request(host))
    (line,) = limpid.sessions_logged(1)
    assert (line["host"], line["app"], line["rule"]) == ("tracker.example", "http", "no ads")


@pytest.mark.parametrize(
    ("app", "says"),
    [
        ("ssh", SSH),
        ("http", http_request("any.example")),
        ("tls", tls.client_hello("any.example")),
        ("unknown", b"\0\1\2\3 what is this?\r\n\r\n"),
    ],
    ids=["ssh", "http", "tls", "unknown"],
)
def test_a_rule_by_application(lab, run, family, app, says):
    limpid = run.configured(intercept(), limits(identify_timeout="5s"), rule(name="app", app=[app], action="reject"))
    lab.listener(family)
    assert is_reset(lab, family, says)
    # Of another application: it goes through.
    other = SSH if app != "ssh" else http_request("any.example")
    client = lab.connect(family)
    client.sendall(other)
    server = lab.accept(family)
    assert traffic.receive_exactly(server, len(other)) == other
    traffic.finish(client, server)
    first, second = sorted(limpid.sessions_logged(2), key=lambda line: line["time"])
    assert (first["app"], first["rule"]) == (app, "app")
    assert (second["app"], second["rule"]) == ("http" if app == "ssh" else "ssh", None)


# Datagrams.


def test_datagrams_that_a_rule_drops_reach_nobody(lab, run, family):
    limpid = run.configured(intercept(udp=["8080"]), rule(name="no", proto="udp", to=[family.server], action="drop"))
    client, server = udp.flow(lab, family)
    client.send(b"?")
    assert stays_silent([client, server], 0.3)
    udp.exchange(udp.client(lab, family, address=family.server_alias), server)
    assert is_served(lab, family)
    dropped = [line for line in limpid.access_log() if line["reason"] == "dropped"]
    assert all((line["proto"], line["rule"]) == ("udp", "no") for line in dropped)


def test_datagrams_that_a_rule_rejects_are_refused(lab, run, family):
    run.configured(intercept(udp=["8080"]), rule(proto="udp", action="reject"))
    client, server = udp.flow(lab, family)
    assert udp.refusal(client) in udp.REFUSALS
    assert stays_silent([server], 0.1)


@pytest.mark.parametrize("condition", [{"host": ["*.ads.example"]}, {"app": ["quic"]}], ids=["host", "app"])
def test_the_first_datagram_of_quic_is_looked_into(lab, run, family, condition):
    run.configured(intercept(udp=["8080"]), rule(**condition, action="drop"))
    client, server = udp.flow(lab, family)
    client.send(quic.initial("x.ads.example"))
    assert stays_silent([server], 0.3)
    udp.exchange(udp.client(lab, family), server)
    if "host" in condition:
        udp.exchange(udp.client(lab, family), server, quic.initial("good.example"))
