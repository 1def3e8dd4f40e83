# SPDX-License-Identifier: MIT
# verify_host: a host is believed where the client's own DNS answers have given it the destination's address.
import itertools
import re

import pytest
from support import dns, quic, traffic, udp, web
from support.deadline import eventually
from support.families import FAMILIES
from support.outcomes import http_request, is_reset, nothing_reaches
from support.settings import intercept, limits, rule

HOST = "x.limpid.test"
NAMES_OF_A_CLIENT = 2048
VERIFIED = {"name": "known", "host": ["*.limpid.test"], "verify_host": True, "action": "direct"}
INTERCEPT = intercept(udp=["53", "8080"])


@pytest.fixture
def website(lab, tmp_path):
    with web.website(lab.server, tmp_path):
        yield


@pytest.fixture
def resolver(lab):
    addresses = ",".join(family.server for family in FAMILIES)
    with dns.dnsmasq(
        lab.server,
        f"--host-record={HOST},{addresses}",
        f"--host-record=short.limpid.test,{addresses},1",
        "--cname=alias.limpid.test,other.limpid.test",
        f"--cname=other.limpid.test,{HOST}",
    ):
        yield


def ask(lab, family, host=HOST, *words):
    answer = dns.dig(lab.client, family.server, host, "A" if family.version == 4 else "AAAA", *words)
    assert family.server in answer.split()


def is_served(lab, family, host=HOST, **options):
    lab.listener(family)
    client = lab.connect(family, **options)
    client.sendall(http_request(host))
    server = lab.accept(family)
    assert traffic.receive_exactly(server, 10) == http_request(host)[:10]
    server.close()
    client.close()
    return True


def is_refused(lab, family, host=HOST, **options):
    lab.listener(family)
    return is_reset(lab, family, http_request(host), **options)


def told(lab, family, client, server, host=HOST, address=None, number=7):
    """The client asks and is answered, in messages written by hand."""
    udp.exchange(
        client,
        server,
        dns.query(number, host, dns.record_type(family)),
        dns.response(number, host, address or family.server),
    )


def lookup(lab, family, **options):
    return udp.flow(lab, family, port=dns.PORT, **options)


def numbered(number):
    return f"h{number}.limpid.test"


def many_questions(lab, family, client, server):
    """More at a time than a flow may have before it is handed over."""
    kind = dns.record_type(family)
    udp.carry(client, server, [dns.query(number, numbered(number), kind) for number in range(2 * udp.HANDOVER_AFTER)])


# Real clients and servers.


@pytest.mark.parametrize("way", web.WAYS)
def test_a_host_is_believed_at_the_addresses_that_the_client_was_told(lab, run, website, resolver, family, way):
    limpid = run.configured(INTERCEPT, rule(**VERIFIED))
    with nothing_reaches(lab.server):
        assert web.is_reset(web.visit(lab.client, family, way, HOST))
    ask(lab, family)
    visited = web.visit(lab.client, family, way, HOST)
    assert web.is_answered(visited, way, HOST), visited
    assert web.is_reset(web.visit(lab.client, family, way, HOST, family.server_alias))
    lines = [line for line in limpid.sessions_logged(4) if line["proto"] == "tcp"]
    assert [(line["rule"], line["host"], line["reason"]) for line in sorted(lines, key=lambda line: line["time"])] == [
        ("known", HOST, "unverified"),
        ("known", HOST, "done"),
        ("known", HOST, "unverified"),
    ]
    assert limpid.close_reason("unverified") == 2


def test_aliases_are_followed_from_the_name_that_was_asked_for(lab, run, website, resolver, family):
    run.configured(INTERCEPT, rule(**VERIFIED))
    ask(lab, family, "alias.limpid.test")
    assert web.is_answered(web.visit(lab.client, family, "http", "alias.limpid.test"), "http", "alias.limpid.test")
    assert web.is_reset(web.visit(lab.client, family, "http", HOST))  # nobody has asked for it


def test_an_answer_is_good_for_its_ttl_and_the_grace(lab, run, website, resolver, family):
    host = "short.limpid.test"
    run.configured(INTERCEPT, limits(verify_host_grace="2s"), rule(**VERIFIED))
    for _ in range(2):
        ask(lab, family, host)
        assert web.is_answered(web.visit(lab.client, family, "http", host), "http", host)
        eventually(lambda: web.is_reset(web.visit(lab.client, family, "http", host)), 10.0, "the end of the TTL")


@pytest.mark.parametrize("is_taken", [True, False])
def test_an_answer_over_tcp_counts_where_that_is_taken(lab, run, website, resolver, family, is_taken):
    ports = ["53", "8080"] if is_taken else ["8080"]
    run.configured(intercept(tcp=ports, udp=["53", "8080"]), rule(**VERIFIED))
    ask(lab, family, HOST, "+tcp")
    assert web.is_answered(web.visit(lab.client, family, "http", HOST), "http", HOST) is is_taken


def test_dig_may_write_a_host_as_it_likes(lab, run, website, resolver, family):
    run.configured(INTERCEPT, rule(**VERIFIED))
    ask(lab, family, HOST.upper() + ".")
    assert web.is_answered(web.visit(lab.client, family, "tls1.3", HOST), "tls1.3", HOST)


# Which flows are asked about.


def test_a_rule_that_verifies_is_still_the_first_that_matches(lab, run, family):
    limpid = run.configured(INTERCEPT, rule(**VERIFIED), rule(host=["*.limpid.test"], action="direct"))
    assert is_refused(lab, family)
    assert is_served(lab, family, "elsewhere.example")
    assert limpid.close_reason("unverified") == 1


def test_a_flow_of_datagrams_is_verified_too(lab, run, family):
    limpid = run.configured(INTERCEPT, rule(**VERIFIED))
    client, server = udp.flow(lab, family)
    client.send(quic.initial(HOST))
    assert udp.refusal(client) in udp.REFUSALS
    told(lab, family, *lookup(lab, family))
    udp.exchange(udp.client(lab, family), server, quic.initial(HOST))
    limpid.stop()
    lines = {line["reason"] for line in limpid.access_log() if line["host"] == HOST}
    assert lines == {"unverified", "withdrawn"}


def test_another_clients_answer_does_not_count(lab, run, family):
    second = family.second_client.partition("/")[0]
    lab.client.ip(f"address add {family.second_client} dev eth0 {'nodad' if family.version == 6 else ''}")
    run.configured(INTERCEPT, rule(**VERIFIED))
    told(lab, family, *lookup(lab, family, source=second))
    assert is_refused(lab, family, prepare=lambda sock: sock.bind((family.client, 0)))
    assert is_served(lab, family, prepare=lambda sock: sock.bind((second, 0)))


# What counts as an answer.


def test_only_the_answer_to_a_question_that_was_seen_counts(lab, run, family):
    limpid = run.configured(INTERCEPT, rule(**VERIFIED))
    kind = dns.record_type(family)
    client, server = lookup(lab, family)
    udp.exchange(client, server, b"no question", dns.response(7, HOST, family.server))
    asked = udp.asked_by(client)
    udp.carry(client, server, [dns.query(7, HOST, kind)])
    forged = [
        dns.response(8, HOST, family.server),
        dns.response(7, "y.limpid.test", family.server),
        dns.response(7, HOST, "203.0.113.9" if family.version == 6 else "2001:db8::9"),
        dns.response(7, HOST, family.server)[:-1],
        dns.query(7, HOST, kind),
        b"\xc0\x0c" * 600,
        b"",
    ]
    udp.carry_back(client, server, forged)
    other_port = udp.bound(lab, family, address=family.server, port=5353)
    udp.answer(other_port, asked, dns.response(7, HOST, family.server))
    assert client.getpeername()[1] == dns.PORT
    other_client = udp.client(lab, family, port=dns.PORT)
    udp.exchange(other_client, server, b"?", dns.response(7, HOST, family.server))
    assert is_refused(lab, family)
    udp.carry_back(client, server, [dns.response(7, HOST, family.server), dns.response(7, HOST, family.server_alias)])
    assert is_served(lab, family)
    assert is_refused(lab, family, address=family.server_alias)  # the second answer to one question
    counters = limpid.status()["counters"]["dns"]
    assert (counters["answers"], counters["ignored"]) == (1, 6)


def test_a_client_has_so_many_names(lab, run, family):
    limpid = run.configured(INTERCEPT, rule(**VERIFIED))
    client, server = lookup(lab, family)
    hosts = [numbered(number) for number in range(NAMES_OF_A_CLIENT + 2)]
    for number, host in enumerate(hosts):
        told(lab, family, client, server, host, number=number)
    status = limpid.wait_status(lambda status: status["dns"]["names"] == NAMES_OF_A_CLIENT, "the names")
    assert status["counters"]["dns"] == {"answers": len(hosts), "ignored": 0, "evicted": 2}
    assert is_refused(lab, family, hosts[0]) and is_refused(lab, family, hosts[1])
    assert is_served(lab, family, hosts[2]) and is_served(lab, family, hosts[-1])


# DNS has to come by.


def test_a_rule_that_lets_dns_go_does_not_keep_it_from_being_seen(lab, run, family):
    limpid = run.configured(INTERCEPT, rule(name="dns", proto="udp", port=["53"], action="direct"), rule(**VERIFIED))
    client, server = lookup(lab, family)
    with udp.relayed(lab, family):
        many_questions(lab, family, client, server)
        answers = range(2 * udp.HANDOVER_AFTER)
        udp.carry_back(
            client, server, [dns.response(number, numbered(number), family.server) for number in answers]
        )
        told(lab, family, client, server)
    assert limpid.handed_over() == []
    assert all(is_served(lab, family, numbered(number)) for number in answers)
    said = run.command("check", "--config", limpid.process.args[-1], socket_words=False).stdout
    assert "datagrams to port 53 come to limpid" in said


def test_a_flow_of_dns_is_handed_over_where_no_host_is_verified(lab, run, family):
    limpid = run.configured(INTERCEPT)
    client, server = lookup(lab, family)
    many_questions(lab, family, client, server)
    eventually(lambda: udp.entry(limpid, client), 10.0, "the flow handed over")


def test_a_reload_that_verifies_hosts_takes_flows_of_dns_back(lab, run, family):
    limpid = run.configured(INTERCEPT)
    client, server = lookup(lab, family)
    many_questions(lab, family, client, server)
    eventually(lambda: udp.entry(limpid, client), 10.0, "the flow handed over")
    udp.hand_over(limpid, *udp.flow(lab, family))
    with open(limpid.process.args[-1], "a") as config:
        config.write(rule(**VERIFIED))
    limpid.command("reload")
    assert [flow["destination"] for flow in limpid.handed_over()] == [family.text(family.server, 8080)]
    told(lab, family, client, server)
    assert is_served(lab, family)


def test_a_reload_keeps_what_is_known_and_the_end_of_a_worker_does_not(lab, run, family):
    limpid = run.configured(INTERCEPT, rule(**VERIFIED))
    client, server = lookup(lab, family)
    told(lab, family, client, server)
    limpid.command("reload")
    assert is_served(lab, family)
    worker = limpid.kill("worker")["worker"]
    limpid.wait_replaced("worker", worker)
    assert is_refused(lab, family)
    for number in itertools.count(8):
        told(lab, family, client, server, number=number)
        if limpid.status()["counters"]["dns"]["answers"] >= 2:
            break
    assert is_served(lab, family)


def test_decide_says_that_an_answer_is_needed(lab, run, tmp_path, family):
    path = tmp_path / "limpid.toml"
    path.write_text(INTERCEPT + rule(**VERIFIED))
    done = run.command("decide", "--config", path, "--client", family.text(family.client, 5000), "--to",
                       family.text(family.server, 443), "--host", "X.limpid.test", socket_words=False)  # fmt: skip
    assert re.search(r'"known" decides: direct\n', done.stdout)
    assert f"verify_host: would need an answer for {HOST} that holds {family.server}\n" in done.stdout
