# SPDX-License-Identifier: MIT
"""What is measured with UDP. Each function takes a running contender and returns figures by name."""

import contextlib
import json
import pathlib
import subprocess

from lab import (CLIENT, CLIENTS, DATAGRAMS, DESTINATIONS, DNS, SERVER, SERVER_ADDRESS, BenchError, forwarded_packets,
                 start, stop, wait_for, within)
from measures import watched

UDP_LOAD = pathlib.Path(__file__).resolve().parent.parent / "build/release/udp_load"
IN_FLIGHT = 64
MANY = 20000

delivered = {}  # {contender: datagrams/s of 64 bytes in one flow, as of last}: half of it is a load that it can carry


@contextlib.contextmanager
def sink(port):
    """The server. Call it when the clients are done: {what: how much of it has arrived}."""
    process = start(UDP_LOAD, "sink", f"port={port}", inside=SERVER, stdout=subprocess.PIPE, text=True)

    def counted():
        process.terminate()
        return json.loads(process.communicate()[0])

    try:
        expect_ready(process)
        yield counted
    finally:
        stop(process)


def expect_ready(process):
    if process.stdout.readline() != "ready\n":
        raise BenchError("udp_load is not ready")


def udp_load(mode, **words):
    """Started on the client's side."""
    command = [UDP_LOAD, mode, *(f"{name}={value}" for name, value in words.items())]
    return subprocess.Popen(within(CLIENT, command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@contextlib.contextmanager
def path_checked(contender, kernel):
    """Call it with the datagrams that arrived: all by the gateway's kernel, or all by the contender."""
    forwarded, relayed = forwarded_packets(), contender.relayed()

    def check(datagrams, lost=0):
        passed = forwarded_packets() - forwarded
        # An answer that comes when nobody waits for it any more is refused by the client, and that is forwarded.
        if kernel and passed < datagrams or not kernel and passed > 128 + lost + datagrams / 100:
            raise BenchError(f"{contender.name}: {datagrams} datagrams arrived, the kernel forwarded {passed}")
        if relayed is not None and not kernel:
            wait_for(lambda: contender.relayed() - relayed >= datagrams, f"{contender.name}: {datagrams} relayed")

    yield check


def blast(contender, seconds, flows=1, size=64, rate=0):
    """Datagrams, one way. What has been sent and what has arrived, and the contender's processor time."""
    cpu = []
    with sink(DATAGRAMS) as counted, udp_load("blast", to=SERVER_ADDRESS, port=DATAGRAMS, first_port=10000, flows=flows,
                                              size=size, rate=rate, seconds=seconds) as client:
        expect_ready(client)
        contender.check_flows(flows)
        with path_checked(contender, contender.forwards_flows) as check, watched(contender, cpu):
            sent = json.loads(client.communicate("go\n")[0])
            arrived = counted()
            check(arrived["received"])
        contender.check_flows(flows)
    served = sum(map(bool, arrived["flows"]))
    if arrived["damaged"] or arrived["duplicates"] or contender.serves_all and (served < flows or sent["unanswered"]):
        raise BenchError(f"{contender.name}: {sent}, {arrived}")
    return sent, arrived, cpu[0]


def throughput(contender, seconds, flows, size):
    """Datagrams delivered while as many are sent as one processor can send."""
    sent, arrived, cpu = blast(contender, seconds, flows, size)
    rate = arrived["received"] / max(sent["seconds"], arrived["seconds"])
    if (flows, size) == (1, 64):
        delivered[contender.name] = rate
    return {"rate": rate, "cpu per datagram": cpu * 1e6 / arrived["received"]} | seen(sent, arrived)


def seen(sent, arrived):
    """What explains other figures."""
    return {"offered": sent["sent"] / sent["seconds"], "late": arrived["late"], "unanswered": sent["unanswered"],
            "dropped by the server": arrived["dropped_here"]}


def loss(contender, seconds, of):
    """Percent lost at a load that all contenders get alike: half of what one of them has delivered."""
    if of not in delivered:
        raise BenchError(f"half of what {of} delivers? \"datagrams, 64 bytes, 1 flow\" has to be measured before")
    sent, arrived, _ = blast(contender, seconds, rate=delivered[of] / 2)
    return {"loss": 100 * (1 - arrived["received"] / sent["sent"])} | seen(sent, arrived)


def ask(contender, port, destinations, after=dict, **until):
    """Flows of one question and one answer; then after(). What the clients and the server have noted, what it said."""
    with sink(port) as counted, path_checked(contender, contender.forwards_questions) as check:
        client = udp_load("ask", **{"from": CLIENTS[0]}, clients=CLIENTS[1], first_port=1024, ports=64000,
                          to=destinations[0], destinations=destinations[1], port=port, size=64, in_flight=IN_FLIGHT,
                          **until)
        answers = json.loads(client.communicate()[0])
        then = after()
        arrived = counted()
        check(answers["answered"], answers["lost"])
    return answers, arrived, then


def questions(contender, seconds):
    """One-shot flows to a DNS server's port, each from an address and port of its own."""
    answers, _, _ = ask(contender, DNS, (SERVER_ADDRESS, 1), flows=2**32 - 1, seconds=seconds)
    return {"rate": answers["answered"] / answers["seconds"], "lost": answers["lost"], "wrong": answers["wrong"]}


def many_flows(contender, _seconds):
    """200 client addresses x 100 ports to 10,000 destinations, and all that the proxy holds open for them at once."""
    before = contender.descriptors()

    def after():
        held = {"descriptors": contender.descriptors(), "descriptors before": before}
        if (alive := contender.alive()) is not None and alive < MANY:
            raise BenchError(f"{contender.name}: {alive} flows of {MANY} are alive at once")
        return held

    answers, arrived, held = ask(contender, DATAGRAMS, DESTINATIONS, after, flows=MANY, seconds=10)
    kept = {} if contender.masquerade else {"source kept": arrived["questions"] - arrived["wrong_source"]}
    return {"answered": answers["answered"], "seconds": answers["seconds"]} | kept | held


MEASURES = {f"datagrams, {size} bytes, {flows} flow{'s' * (flows > 1)}":
            lambda contender, seconds, flows=flows, size=size: throughput(contender, seconds, flows, size)
            for size in (64, 1400) for flows in (1, 256)}
MEASURES |= {
    "loss at half of plain": lambda contender, seconds: loss(contender, seconds, "plain"),
    "loss at half of relayed": lambda contender, seconds: loss(contender, seconds, "relayed"),
    "questions": questions,
    "many flows": many_flows,
}
