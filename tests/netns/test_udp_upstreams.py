# SPDX-License-Identifier: MIT
# Datagrams through an upstream: SOCKS5's UDP ASSOCIATE with a real proxy and with one played by hand, and fixed
# addresses. The proxies are in the namespace behind wan1.
import pytest
from support import quic, socks, udp, upstreams
from support.deadline import eventually, stays_silent
from support.families import FAMILIES
from support.lab import endpoint
from support.settings import intercept, limits, rule, upstream

SOCKS, OTHER = upstreams.SOCKS, 1081
TAKE = intercept(udp=["8080"])
ROOM = 1 << 16
HELD = 64 * 1024  # bytes of a flow that wait for its association
KINDS_WITHOUT = {
    "http-connect": {"kind": "http-connect"},
    "told": {"kind": "fixed", "proxy_protocol": "v2"},
    "as_the_client": {"kind": "socks5", "source": "client"},
}


@pytest.fixture
def other(lab):
    return lab.add_other_server()


@pytest.fixture
def proxy(lab, other, family):
    """The namespace of a proxy that listens, and is played by hand."""
    lab.listener(family, other, port=SOCKS)
    return other


def through(family, ports=(SOCKS,), kind="socks5", **keys):
    addresses = [family.text(family.other_server, port) for port in ports]
    keys.setdefault("check_interval", "10m")  # a check would connect to a proxy that is played by hand
    return upstream(name="office", type=kind, address=addresses, **keys) + rule(name="all", action="office")


def expect_logged(limpid, count=1, **fields):
    """The access log, once limpid has ended and so all flows with it."""
    limpid.stop()
    lines = limpid.access_log()
    assert len(lines) == count, lines
    expected = {"proto": "udp", "rule": "all", "upstream": "office", **fields}
    for line in lines:
        assert {key: line[key] for key in expected} == expected
    return lines


def exchange_through(client, server, family, message=b"ping", reply=b"pong"):
    """By a real proxy: the server sees it alone."""
    client.send(message)
    datagram = udp.receive(server)
    assert (datagram.data, datagram.source[0]) == (message, family.other_server)
    udp.answer(server, datagram, reply)
    assert client.recv(ROOM) == reply


def is_refused(client):
    return udp.refusal(client) in udp.REFUSALS


def has_ended(control):
    return control.recv(1) == b""


# A real proxy.


def test_a_proxy_carries_datagrams_both_ways_and_the_kernel_none(lab, other, run, tmp_path, family):
    with upstreams.danted(other, tmp_path):
        limpid = run.configured(TAKE, through(family))
        client, server = udp.flow(lab, family)
        for number in range(2 * udp.HANDOVER_AFTER):
            exchange_through(client, server, family, udp.payload(number, 100), udp.payload(number, 200))
        assert limpid.handed_over() == []
        count = 2 * udp.HANDOVER_AFTER
        (line,) = expect_logged(
            limpid, reason="withdrawn", datagrams_up=count, datagrams_down=count, bytes_up=100 * count,
            bytes_down=200 * count, source_kept="no",
        )  # fmt: skip
        assert line["client"] == udp.name(client)


def test_a_proxy_may_be_reached_by_the_other_family(lab, other, run, tmp_path, family):
    (another,) = (one for one in FAMILIES if one is not family)
    with upstreams.danted(other, tmp_path):
        run.configured(TAKE, through(another))
        client, server = udp.flow(lab, family)
        exchange_through(client, server, family)


def test_many_flows_at_once(lab, other, run, tmp_path, family):
    with upstreams.danted(other, tmp_path):
        limpid = run.configured(TAKE, through(family))
        server = udp.bound(lab, family)
        clients = [udp.client(lab, family) for _ in range(16)]
        for number, client in enumerate(clients):
            client.send(bytes([number]))
        for _ in clients:
            datagram = udp.receive(server)
            udp.answer(server, datagram, datagram.data * 2)
        for number, client in enumerate(clients):
            assert client.recv(ROOM) == bytes([number]) * 2
        expect_logged(limpid, len(clients), datagrams_up=1, datagrams_down=1)


def test_a_proxy_that_dies_ends_its_flows(lab, other, run, tmp_path, family):
    with upstreams.danted(other, tmp_path):
        limpid = run.configured(TAKE, through(family))
        client, server = udp.flow(lab, family)
        exchange_through(client, server, family)
    (line,) = limpid.sessions_logged(1)
    assert (line["reason"], line["upstream"]) == ("upstream_reset", "office")
    assert is_refused(client)


@pytest.mark.parametrize("size", [1, 1400, 1472, 1500, 8000])
def test_datagrams_of_any_size(lab, other, run, tmp_path, family, size):
    with upstreams.danted(other, tmp_path):
        run.configured(TAKE, through(family))
        client, server = udp.flow(lab, family)
        for number in range(3):
            exchange_through(client, server, family, udp.payload(number, size), udp.payload(number + 9, size))


@pytest.mark.parametrize("password", [None, "wrong"], ids=["no_password", "wrong_password"])
def test_a_proxy_that_wants_another_password(lab, other, run, tmp_path, family, password):
    secret = password_in(tmp_path, password) if password else {}
    with upstreams.microsocks(other, tmp_path, username="limpid", password="right"):
        limpid = run.configured(TAKE, through(family, when_down="direct", **secret))
        client, server = udp.flow(lab, family)
        assert is_refused(client)
        assert stays_silent([server], 0.1)
        expect_logged(limpid, reason="upstream_failed", datagrams_down=0)


def password_in(directory, password):
    path = directory / "office.secret"
    path.write_text(password)
    path.chmod(0o600)
    return {"username": "limpid", "password_file": str(path)}


def test_a_proxy_for_streams_alone_refuses_and_is_up(lab, other, run, tmp_path, family):
    with upstreams.microsocks(other, tmp_path):
        limpid = run.configured(TAKE, through(family, when_down="direct"))
        client, server = udp.flow(lab, family)
        assert is_refused(client)
        assert stays_silent([server], 0.1)
        assert limpid.status()["upstreams"][0]["addresses"][0]["state"] == "up"
        expect_logged(limpid, reason="upstream_failed")


# Played by hand: the association and its end.


def test_an_association_with_a_password(lab, proxy, run, tmp_path, family):
    run.configured(TAKE, through(family, **password_in(tmp_path, "right")))
    client = udp.client(lab, family)
    client.send(b"first")
    control = socks.accept(lab, proxy, family)
    assert socks.greet(control, socks.PASSWORD) == ("limpid", "right")
    socks.receive_request(control, family)
    association = socks.Association(lab, proxy, family, control=control)
    assert association.receive() == b"first"
    association.exchange(client)


def associated(lab, proxy, family, **options):
    """A client whose first datagram has got there, and the association it went by."""
    client = udp.client(lab, family)
    client.send(b"first")
    association = socks.Association(lab, proxy, family, **options)
    assert association.receive() == b"first"
    return client, association


def test_a_relay_that_is_at_no_address_is_at_the_proxys(lab, proxy, run, family):
    run.configured(TAKE, through(family))
    client, association = associated(lab, proxy, family, bound="0.0.0.0" if family.version == 4 else "::")
    association.exchange(client)


def test_a_relay_on_our_own_loopback_is_not_believed(lab, proxy, run, family):
    limpid = run.configured(TAKE, through(family))
    client = udp.client(lab, family)
    client.send(b"first")
    trap = udp.bound(lab, family, lab.gateway, family.loopback, 0)
    control = socks.accept(lab, proxy, family)
    socks.greet(control)
    socks.receive_request(control, family)
    port = endpoint(trap.getsockname())[1]
    control.sendall(b"\5\0\0" + socks.by_address(family, family.loopback, port))
    assert has_ended(control)
    assert stays_silent([trap], 0.1)
    expect_logged(limpid, reason="upstream_failed")


def test_the_end_of_the_connection_is_the_end_of_the_flow(lab, proxy, run, family):
    limpid = run.configured(TAKE, through(family))
    client, association = associated(lab, proxy, family)
    association.exchange(client)
    association.control.close()
    (line,) = limpid.sessions_logged(1)
    assert (line["reason"], line["datagrams_up"], line["datagrams_down"]) == ("upstream_reset", 2, 1)
    client.send(b"again")  # and this is another flow
    again = socks.Association(lab, proxy, family)
    assert again.receive() == b"again"
    again.exchange(client)


def test_a_proxy_that_grants_and_goes_is_held_for_none(lab, proxy, run, family):
    limpid = run.configured(TAKE, through(family))
    client = udp.client(lab, family)
    client.send(b"first")
    socks.Association(lab, proxy, family).control.close()
    is_free = lambda status: status["upstreams"][0]["addresses"][0]["sessions"] == 0  # noqa: E731
    limpid.wait_status(is_free, "an association that has ended")


def test_the_end_of_the_flow_is_the_end_of_the_connection(lab, proxy, run, family):
    limpid = run.configured(TAKE, limits(unanswered_timeout="300ms"), through(family))
    _, association = associated(lab, proxy, family)
    assert has_ended(association.control)
    assert limpid.sessions_logged(1)[0]["reason"] == "unanswered"


def test_a_flow_that_is_evicted_gives_its_connection_up(lab, proxy, run, family):
    limpid = run.configured(TAKE, limits(udp_flows_per_client=2), through(family))
    first = associated(lab, proxy, family)[1]
    _second = associated(lab, proxy, family)
    _third = associated(lab, proxy, family)
    assert has_ended(first.control)
    assert limpid.sessions_logged(1)[0]["reason"] == "evicted"


def test_enforce_ends_what_would_go_elsewhere(lab, proxy, run, tmp_path, family):
    limpid = run.configured(TAKE, through(family))
    client, association = associated(lab, proxy, family)
    run.command("reload", "--enforce")  # nothing has changed
    association.exchange(client)
    (tmp_path / "limpid0.toml").write_text(TAKE + through(family).replace('"office"', '"home"'))
    run.command("reload")
    association.exchange(client)
    run.command("reload", "--enforce")
    assert has_ended(association.control)
    assert limpid.sessions_logged(1)[0]["reason"] == "rejected"


def test_a_question_about_a_name_is_over_with_its_answer(lab, proxy, run, family):
    limpid = run.configured(intercept(udp=["53"]), through(family))
    client = udp.client(lab, family, port=53)
    client.send(b"question")
    association = socks.Association(lab, proxy, family)
    there = socks.by_address(family, family.server, 53)
    assert association.receive(there) == b"question"
    association.answer(b"answer", there)
    association.answer(b"and more", there)
    assert client.recv(ROOM) == b"answer"
    assert has_ended(association.control)
    assert limpid.sessions_logged(1)[0]["reason"] == "done"


def test_a_program_of_the_gateway_is_served_too(lab, proxy, run, family):
    limpid = run.configured(intercept(udp=["8080"], local=True), through(family))
    client = udp.client(lab, family, namespace=lab.gateway)
    client.send(b"first")
    association = socks.Association(lab, proxy, family)
    assert association.receive() == b"first"
    association.exchange(client)
    expect_logged(limpid, datagrams_up=2, datagrams_down=1)


# What is sent, and what comes back.


@pytest.mark.parametrize("size", [0, 1, 1472, 9000, 65000])
def test_a_payload_is_what_the_client_has_sent(lab, proxy, run, family, size):
    run.configured(TAKE, through(family))
    client, association = associated(lab, proxy, family)
    association.exchange(client, udp.payload(1, size)[:size], udp.payload(2, size)[:size])


def test_many_in_one_piece_are_many(lab, proxy, run, family):
    run.configured(TAKE, through(family))
    client, association = associated(lab, proxy, family)
    sent = [udp.payload(number, 1000) for number in range(20)] + [b"last"]
    udp.send_in_one_piece(client, sent)
    assert [association.receive() for _ in sent] == sent
    for data in sent:
        association.answer(data)
    udp.expect_all(client, sent)


def test_what_is_too_large_for_the_proxy_is_lost_and_counted(lab, proxy, run, family):
    limpid = run.configured(TAKE, through(family))
    client, association = associated(lab, proxy, family)
    client.send(udp.payload(1, udp.LARGEST))  # the header does not fit any more
    limpid.wait_udp(send_refused=1)
    association.exchange(client)


def test_what_is_no_answer_of_the_destination_is_lost_and_counted(lab, proxy, run, family):
    limpid = run.configured(TAKE, through(family))
    client, association = associated(lab, proxy, family)
    wrong = [
        {"head": b"\0\0\1"},  # fragments
        {"head": b"\0\0\x81"},
        {"head": b"\1\0\0"},
        {"source": socks.by_address(family, family.server, 8081)},
        {"source": socks.by_address(family, family.server_alias, 8080)},
        {"source": socks.by_name("any.example", 8080)},
        {"source": b"\2"},
        {"source": b""},
    ]
    for options in wrong:
        association.answer(b"wrong", **options)
    association.answer(b"right")
    assert client.recv(ROOM) == b"right"
    stranger = udp.bound(lab, family, proxy, family.other_server, 0)  # not from the relay
    stranger.sendto(bytes(3) + socks.by_address(family, family.server, 8080) + b"wrong", association.peer)
    association.exchange(client)
    limpid.wait_udp(answers_refused=len(wrong), datagrams_down=2)


def test_with_send_host_the_proxy_is_given_the_name(lab, proxy, run, family):
    limpid = run.configured(TAKE, limits(identify_timeout="5s"), through(family, send="host"))
    client = udp.client(lab, family)
    first = quic.initial("elsewhere.example")
    client.send(first)
    association = socks.Association(lab, proxy, family)
    named = socks.by_name("elsewhere.example", 8080)
    assert association.receive(named) == first
    # The proxy knows the name by another address; to the client all comes from where it has asked.
    for source in socks.by_address(family, family.server_alias, 8080), named:
        association.answer(b"pong", source)
        assert client.recv(ROOM) == b"pong"
    association.answer(b"wrong", socks.by_address(family, family.server_alias, 8081))
    association.answer(b"wrong", socks.by_name("another.example", 8080))
    limpid.wait_udp(answers_refused=2, datagrams_down=2)
    expect_logged(limpid, host="elsewhere.example", app="quic")


def test_with_send_host_a_flow_without_a_name_goes_by_address(lab, proxy, run, family):
    run.configured(TAKE, limits(identify_timeout="300ms"), through(family, send="host"))
    client, association = associated(lab, proxy, family)
    association.exchange(client)


# Waiting.


def test_datagrams_wait_for_the_association_in_their_order_and_no_more_than_so_many(lab, proxy, run, family):
    limpid = run.configured(TAKE, through(family))
    client = udp.client(lab, family)
    sent = [udp.payload(number, 1024) for number in range(100)]
    for data in sent:
        client.send(data)
    limpid.wait_udp(datagrams_up=len(sent))
    association = socks.Association(lab, proxy, family)
    kept = HELD // 1024
    assert [association.receive() for _ in range(kept)] == sent[:kept]
    association.exchange(client)
    limpid.wait_udp(dropped=len(sent) - kept)


def test_a_proxy_that_says_nothing_is_given_up_in_time(lab, proxy, run, family):
    limpid = run.configured(TAKE, limits(connect_timeout="300ms"), through(family))
    client = udp.client(lab, family)
    client.send(b"first")
    control = socks.accept(lab, proxy, family)
    with pytest.raises(OSError) as refused:
        client.recv(ROOM)
    assert refused.value.errno in udp.REFUSALS
    with pytest.raises(ConnectionResetError):
        while control.recv(ROOM):
            pass
    expect_logged(limpid, reason="upstream_failed")


def test_garbage_in_the_handshake_is_no_proxy(lab, proxy, run, family):
    limpid = run.configured(TAKE, through(family))
    client = udp.client(lab, family)
    client.send(b"first")
    socks.accept(lab, proxy, family).sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(OSError) as refused:
        client.recv(ROOM)
    assert refused.value.errno in udp.REFUSALS
    assert limpid.status()["upstreams"][0]["addresses"][0]["state"] == "down"


def test_an_address_that_fails_is_passed_over(lab, proxy, run, family):
    limpid = run.configured(TAKE, through(family, [OTHER, SOCKS]))
    for _ in range(3):
        client, association = associated(lab, proxy, family)
        association.exchange(client)
    dead, alive = limpid.status()["upstreams"][0]["addresses"]
    assert (dead["state"], dead["sessions"], dead["failures"]) == ("down", 0, 1)
    assert (alive["state"], alive["sessions"], alive["failures"]) == ("up", 3, 0)
    expect_logged(limpid, 3, reason="withdrawn")


# Nobody takes it on.


def test_when_down_reject(lab, other, run, family):
    limpid = run.configured(TAKE, through(family, when_down="reject"))
    client, server = udp.flow(lab, family)
    assert is_refused(client) and is_refused(client)
    assert stays_silent([server], 0.1)
    expect_logged(limpid, reason="upstream_failed", datagrams_up=2)


def test_when_down_drop(lab, other, run, family):
    limpid = run.configured(TAKE, through(family, when_down="drop"))
    client, server = udp.flow(lab, family)
    client.send(b"first")
    assert stays_silent([client, server], 0.3)
    expect_logged(limpid, reason="dropped")


def test_when_down_direct(lab, other, run, family):
    limpid = run.configured(TAKE, through(family, when_down="direct"))
    client, server = udp.flow(lab, family)
    for _ in range(udp.HANDOVER_AFTER):
        udp.exchange(client, server)
    assert limpid.handed_over() == []
    expect_logged(limpid, upstream=None, source_kept="port", reason="withdrawn")


def test_enforce_leaves_alone_what_goes_direct_because_the_proxy_is_down(lab, other, run, family):
    limpid = run.configured(TAKE, through(family, when_down="direct"))
    client, server = udp.flow(lab, family)
    udp.exchange(client, server)
    run.command("reload", "--enforce")
    udp.exchange(client, server)
    assert limpid.sessions_logged(0) == []


def test_a_proxy_that_comes_back_is_found_by_the_same_flow(lab, other, run, tmp_path, family):
    limpid = run.configured(TAKE, through(family, check_interval="200ms"))
    client, server = udp.flow(lab, family)
    assert is_refused(client)
    with upstreams.danted(other, tmp_path):
        eventually(lambda: udp.comes_through(client, server), 10.0)
        expect_logged(limpid, reason="withdrawn")


# Limits.


@pytest.mark.parametrize("limit", ["upstream", "limpid"])
def test_an_association_takes_a_place_among_the_sessions(lab, proxy, run, family, limit):
    if limit == "upstream":
        limpid = run.configured(TAKE, through(family, sessions=1, when_down="direct"))
    else:
        limpid = run.configured(TAKE, limits(sessions=1, unanswered_timeout="2s"), through(family, when_down="direct"))
    _, association = associated(lab, proxy, family)
    second, server = udp.flow(lab, family)
    assert is_refused(second)
    assert stays_silent([server], 0.1)
    association.control.close()
    limpid.sessions_logged(1)
    _, again = associated(lab, proxy, family)
    assert limpid.status()["upstreams"][0]["addresses"][0]["sessions"] == 1
    again.control.close()


# Upstreams that carry datagrams without a word, and those that carry none.


def test_a_fixed_upstream_gets_them_as_they_are(lab, other, run, family):
    limpid = run.configured(TAKE, through(family, [8088], "fixed"))
    client = udp.client(lab, family)
    there = udp.bound(lab, family, other, port=8088)
    for number in range(2 * udp.HANDOVER_AFTER):
        client.send(udp.payload(number, 1400))
        datagram = udp.receive(there)
        assert datagram.data == udp.payload(number, 1400)
        udp.answer(there, datagram, udp.payload(number + 1, 1400))
        assert client.recv(ROOM) == udp.payload(number + 1, 1400)  # of a socket connected to the server
    assert limpid.handed_over() == []
    expect_logged(limpid, reason="withdrawn", datagrams_down=2 * udp.HANDOVER_AFTER, source_kept="no")


def test_a_fixed_upstream_for_datagrams_alone_is_not_down_for_them(lab, other, run, family):
    limpid = run.configured(TAKE, through(family, [8088], "fixed", check_interval="100ms"))
    limpid.wait_status(lambda status: status["upstreams"][0]["addresses"][0]["state"] == "down", "a failed check")
    client = udp.client(lab, family)
    there = udp.bound(lab, family, other, port=8088)
    client.send(b"first")
    udp.answer(there, udp.receive(there), b"pong")
    assert client.recv(ROOM) == b"pong"


@pytest.mark.parametrize("kind", KINDS_WITHOUT)
def test_others_carry_none_and_refuse_them(lab, other, run, family, kind):
    limpid = run.configured(TAKE, through(family, when_down="direct", **KINDS_WITHOUT[kind]))
    client, server = udp.flow(lab, family)
    assert is_refused(client)
    assert stays_silent([server], 0.1)
    expect_logged(limpid, reason="upstream_failed")
