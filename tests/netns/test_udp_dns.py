# SPDX-License-Identifier: MIT
# DNS as it is: dig asks dnsmasq through the gateway.
import socket

import pytest
from support import dns, udp
from support.deadline import stays_silent
from support.families import FAMILIES

DEFAULTS = ("--interface", "lan0", "--udp", "53")
LONG = [chr(ord("a") + number) * 250 for number in range(12)]  # a TXT record of more than two packets


@pytest.fixture(autouse=True)
def resolver(lab):
    words = ("--address=/limpid.test/192.0.2.1", "--txt-record=long.limpid.test," + ",".join(LONG))
    with dns.dnsmasq(lab.server, *words):
        yield


def dig(lab, family, *words, namespace=None):
    question = words or ("limpid.test", "A")
    return dns.dig(namespace or lab.client, family.server, *question)


def service(lab, family, dual_stack=False):
    """Somebody on the gateway who has the port to himself."""
    sock = lab.keep(lab.gateway.socket(family.af, socket.SOCK_DGRAM))
    if family.version == 6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not dual_stack))
    sock.bind(("", 53))
    return sock


def test_dig_gets_its_answer_and_the_flow_is_forgotten_at_once(lab, limpid, family):
    with udp.relayed(lab, family):
        for _ in range(3):
            assert dig(lab, family) == "192.0.2.1\n"
    status = limpid.wait_udp(flows=3, datagrams_up=3, datagrams_down=3)
    assert status["udp"]["flows"] == 0
    lines = limpid.sessions_logged(3)
    assert {(line["reason"], line["via"], line["datagrams_up"], line["datagrams_down"]) for line in lines} == {
        ("done", "relay", 1, 1)
    }


def test_dig_may_ask_from_a_port_of_its_choice_again_and_again(lab, limpid, family):
    source = family.client + "#500"
    for _ in range(3):
        assert dig(lab, family, "-b", source, "limpid.test", "A") == "192.0.2.1\n"
    assert {line["client"] for line in limpid.sessions_logged(3)} == {family.text(family.client, 500)}


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_local_service_on_the_port_is_no_obstacle_and_gets_its_own_datagrams(lab, run, family, moment):
    if moment == "before":
        held = service(lab, family)
    run("--handover", "off")
    if moment == "after":
        held = service(lab, family)
    with udp.relayed(lab, family):
        assert dig(lab, family) == "192.0.2.1\n"
    assert stays_silent([held], 0.05)
    for address in family.gateway_lan, family.gateway_wan:
        client = udp.client(lab, family, address, port=53)
        client.send(b"for the gateway")
        data, source = held.recvfrom(100)
        assert (data, source[:2]) == (b"for the gateway", client.getsockname()[:2])


def test_a_local_service_for_both_families_is_no_obstacle(lab, run):
    held = service(lab, FAMILIES[1], dual_stack=True)
    run()
    for family in FAMILIES:
        with udp.relayed(lab, family):
            assert dig(lab, family) == "192.0.2.1\n"
    assert stays_silent([held], 0.05)


def test_this_machines_own_questions_are_taken_with_local(lab, run, family):
    limpid = run("--local")
    assert dig(lab, family, namespace=lab.gateway) == "192.0.2.1\n"
    limpid.wait_udp(flows=1, datagrams_up=1, datagrams_down=0)  # the answer went to dig, past limpid


def test_an_answer_in_fragments_arrives_whole(lab, limpid, family):
    answer = dig(lab, family, "+bufsize=4096", "+ignore", "long.limpid.test", "TXT")
    assert answer.replace('"', "").split() == LONG
    limpid.wait_udp(datagrams_down=1)


def test_an_answer_too_long_is_asked_for_again_over_tcp(lab, run, family):
    limpid = run("--tcp", "53")
    answer = dig(lab, family, "+noedns", "long.limpid.test", "TXT")
    assert answer.replace('"', "").split() == LONG
    assert [line["proto"] for line in limpid.sessions_logged(2)] == ["udp", "tcp"]
