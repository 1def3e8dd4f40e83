# SPDX-License-Identifier: MIT
# A flow that goes on is handed over to the kernel: nobody notices, nothing of ours is in its way, and it can be taken
# back.
import os
import signal

import pytest
from support import udp
from support.deadline import eventually, stays_silent
from support.lab import PORT
from support.runner import TAKE_UDP

DEFAULTS = TAKE_UDP


def sockets(lab):
    return {tuple(line.split()[:5]) for line in lab.gateway.run("ss", "-Hnawu").stdout.splitlines()}


def take_back(limpid, words, expected):
    done = limpid.command("flows", "--take-back", words)
    assert done.stdout.strip() == f"{expected} flow{'' if expected == 1 else 's'} taken back"


def expect_carrier(lab, family, is_kernel, client, server, exchanges=udp.HANDOVER_AFTER):
    with udp.forwarded(lab, family, 2 * exchanges if is_kernel else 0):
        for number in range(exchanges):
            udp.exchange(client, server, udp.payload(number, 100), udp.payload(~number & 0xFFFF, 100))


def test_a_flow_that_goes_on_is_forwarded_by_the_kernel_alone(lab, limpid, family):
    client, server = udp.flow(lab, family)
    udp.hand_over(limpid, client, server)
    before = limpid.status()
    expect_carrier(lab, family, True, client, server, 20)
    after = limpid.status()
    for name in "datagrams_up", "datagrams_down", "flows":
        assert after["counters"]["udp"][name] == before["counters"]["udp"][name]
    assert after["counters"]["udp"]["handed_over"] == 1
    assert after["udp"] == {"flows": 0, "handed_over": 1}


def test_a_flow_of_a_few_datagrams_is_not_handed_over(lab, limpid, family):
    client, server = udp.flow(lab, family)
    with udp.relayed(lab, family):
        for _ in range(udp.HANDOVER_AFTER // 2 - 1):
            udp.exchange(client, server)
        assert stays_silent([client, server], 0.2)
    assert limpid.handed_over() == []


def test_without_handover_every_datagram_is_relayed(lab, run, family):
    limpid = run("--handover", "off")
    client, server = udp.flow(lab, family)
    expect_carrier(lab, family, False, client, server, 50)
    limpid.wait_udp(datagrams_up=50, datagrams_down=50, handed_over=0)
    assert limpid.handed_over() == []


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_flow_in_one_direction_alone_is_handed_over_too(lab, limpid, family, direction):
    client, server = udp.flow(lab, family)
    udp.exchange(client, server)
    carry = udp.carry if direction == "up" else udp.carry_back
    for number in range(2 * udp.HANDOVER_AFTER):
        carry(client, server, [udp.payload(number, 50)])
    eventually(lambda: udp.entry(limpid, client), 3.0, "the flow handed over")
    with udp.forwarded(lab, family, 1):
        carry(client, server, [b"and on"])


def test_nothing_is_lost_or_doubled_while_a_flow_is_handed_over(lab, limpid, family):
    client, server = udp.flow(lab, family)
    for start in range(0, 1000, 10):
        datagrams = [udp.payload(number, 200) for number in range(start, start + 10)]
        udp.carry(client, server, datagrams)
        udp.carry_back(client, server, datagrams)
    assert udp.entry(limpid, client)
    assert stays_silent([client, server], 0.05)


def test_the_flow_is_listed_with_its_account(lab, limpid, family):
    client, server = udp.flow(lab, family)
    udp.hand_over(limpid, client, server)
    before = udp.entry(limpid, client)
    for _ in range(10):
        udp.exchange(client, server, b"12345", b"123")
    after = udp.entry(limpid, client)
    assert (after["client"], after["destination"]) == (udp.name(client), family.text(family.server, PORT))
    grown = {key: after[key] - before[key] for key in ("datagrams_up", "bytes_up", "datagrams_down", "bytes_down")}
    assert grown == {"datagrams_up": 10, "bytes_up": 50, "datagrams_down": 10, "bytes_down": 30}
    assert 0 <= before["seconds"] <= after["seconds"] < 10
    said = limpid.command("flows").stdout
    assert udp.name(client) in said and after["destination"] in said


def test_nothing_of_ours_stands_in_the_way_of_a_flow_handed_over(lab, limpid, family):
    # A socket on the gateway that matched the flow's addresses would take its packets away from the kernel's path.
    before = sockets(lab)
    client, server = udp.flow(lab, family)
    udp.exchange(client, server)
    assert sockets(lab) == before
    udp.hand_over(limpid, client, server)
    assert sockets(lab) == before
    expect_carrier(lab, family, True, client, server)


def test_a_client_port_handed_over_to_one_destination_reaches_another(lab, limpid, family):
    server = udp.bound(lab, family)
    first = udp.client(lab, family, source_port=40000)
    udp.hand_over(limpid, first, server)
    second = udp.client(lab, family, family.server_alias, source_port=40000)
    expect_carrier(lab, family, False, second, server, 2)
    expect_carrier(lab, family, True, first, server, 2)


def test_two_hundred_flows_are_handed_over_and_taken_back(lab, limpid, family):
    server = udp.bound(lab, family)
    clients = [udp.client(lab, family) for _ in range(200)]
    for _ in range(udp.HANDOVER_AFTER // 2 + 1):
        for client in clients:
            udp.exchange(client, server)
    eventually(lambda: len(limpid.handed_over()) == 200, 20.0, "all handed over")
    take_back(limpid, "all", 200)
    with udp.relayed(lab, family):
        for client in clients:
            udp.exchange(client, server)
    limpid.wait_udp(handed_over=200, taken_back=200)


def test_a_flow_taken_back_is_relayed_from_then_on(lab, limpid, family):
    client, server = udp.flow(lab, family)
    udp.hand_over(limpid, client, server)
    take_back(limpid, "all", 1)
    assert limpid.handed_over() == []
    expect_carrier(lab, family, False, client, server, 3 * udp.HANDOVER_AFTER)
    assert limpid.handed_over() == []
    status = limpid.wait_udp(handed_over=1, taken_back=1)
    assert status["udp"] == {"flows": 1, "handed_over": 0}


@pytest.mark.parametrize(
    ("words", "is_taken"),
    [
        ("all", (True, True)),
        ("port=8080", (True, True)),
        ("port=8081-8090", (False, False)),
        ("destination={server}", (True, False)),
        ("destination={alias}", (False, True)),
        ("client={client},destination={alias}", (False, True)),
        ("client={alias}", (False, False)),
        ("client={lan},port=8000-9000", (True, True)),
        ("port=8080,destination={alias},client={client}", (False, True)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_taken_back_is_what_the_filter_says(lab, limpid, family, words, is_taken):
    words = words.format(client=family.client, server=family.server, alias=family.server_alias, lan=family.lan)
    server = udp.bound(lab, family)
    clients = [udp.client(lab, family, address) for address in (family.server, family.server_alias)]
    for client in clients:
        udp.hand_over(limpid, client, server)
    take_back(limpid, words, sum(is_taken))
    for client, taken in zip(clients, is_taken):
        assert bool(udp.entry(limpid, client)) != taken
        expect_carrier(lab, family, not taken, client, server, 2)


@pytest.mark.parametrize(
    "words", ["", "some", "port=", "port=0", "port=90-80", "colour=blue", "client=example.org", "client=10.0.0.1/8"]
)
def test_a_filter_that_is_none_is_a_usage_error(lab, run, words):
    limpid = run()
    done = limpid.command("flows", "--take-back", words, check=False)
    assert done.returncode == 2
    assert done.stderr.strip() and not done.stdout


def test_flows_without_a_running_limpid_says_so(lab, run):
    lab.remember_state()
    for words in (), ("--take-back", "all"):
        done = run.command("flows", *words, check=False)
        assert done.returncode == 1
        assert str(run.control) in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_a_flow_handed_over_does_not_notice_that_the_worker_stands_still(lab, limpid, family):
    client, server = udp.flow(lab, family)
    udp.hand_over(limpid, client, server)
    worker = limpid.pids()["worker"]
    os.kill(worker, signal.SIGSTOP)
    try:
        expect_carrier(lab, family, True, client, server, 20)
    finally:
        os.kill(worker, signal.SIGCONT)


@pytest.mark.parametrize("without_us", ["open", "closed"])
def test_a_flow_handed_over_does_not_notice_that_the_worker_dies(lab, run, family, without_us):
    limpid = run("--without-us", without_us)
    client, server = udp.flow(lab, family)
    udp.hand_over(limpid, client, server)
    worker = limpid.kill("worker")["worker"]
    expect_carrier(lab, family, True, client, server, 50)
    limpid.wait_replaced("worker", worker)
    expect_carrier(lab, family, True, client, server, 50)
    assert udp.entry(limpid, client)
    take_back(limpid, "all", 1)
    expect_carrier(lab, family, False, client, server)
    limpid.stop()
    run.withdraw()


def test_a_flow_handed_over_that_was_idle_is_a_new_flow(lab, run, family):
    limpid = run("--answered-timeout", "2s")
    client, server = udp.flow(lab, family)
    udp.hand_over(limpid, client, server)
    limpid.sessions_logged(1)
    assert limpid.handed_over() == []
    expect_carrier(lab, family, False, client, server, 1)
    limpid.wait_udp(flows=2)


def test_the_table_of_flows_handed_over_is_the_owners_alone(lab, limpid, family):
    client, server = udp.flow(lab, family)
    udp.hand_over(limpid, client, server)
    lab.gateway.run("nft", "flush", "ruleset")
    expect_carrier(lab, family, True, client, server)
    assert udp.entry(limpid, client)


def test_a_flow_between_two_interfaces_of_clients_is_handed_over_and_counted_once(lab, run, family):
    limpid = run("--answered-timeout", "2s", defaults=("--interface", "lan0,wan0", "--udp", "all"))
    up, up_server = udp.flow(lab, family)
    down_server = udp.bound(lab, family, lab.client, port=9000)
    down = udp.client(lab, family, family.client, port=9000, namespace=lab.server)
    for client, server in (up, up_server), (down, down_server):
        udp.hand_over(limpid, client, server)
        expect_carrier(lab, family, True, client, server, 5)
    lines = limpid.sessions_logged(2)
    count = udp.HANDOVER_AFTER // 2 + 1 + 5
    assert {(line["client"], line["datagrams_up"], line["datagrams_down"]) for line in lines} == {
        (udp.name(up), count, count),
        (udp.name(down), count, count),
    }
