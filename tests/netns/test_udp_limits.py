# SPDX-License-Identifier: MIT
# More flows than there is room for, of one client and of all: the least recently used goes first, and is counted.
from support import processes, udp
from support.deadline import stays_silent
from support.families import FAMILIES
from support.lab import PORT
from support.limpid import SANITIZED
from support.runner import TAKE_UDP

DEFAULTS = TAKE_UDP
FLOOD = 20000
MEMORY_PER_FLOW = 1024


def clients_of(lab, family, count, **options):
    return [udp.client(lab, family, **options) for _ in range(count)]


def evicted(limpid, count):
    lines = limpid.sessions_logged(count)
    assert {line["reason"] for line in lines} == {"evicted"}
    return [line["client"] for line in lines]


def test_where_the_table_is_full_the_least_recently_used_flow_goes_first(lab, run, family):
    limpid = run("--udp-flows", "10", "--handover", "off")
    server = udp.bound(lab, family)
    clients = clients_of(lab, family, 10)
    for client in clients:
        udp.exchange(client, server)
    udp.exchange(clients[0], server)
    for client in clients_of(lab, family, 2):
        udp.exchange(client, server)
    assert evicted(limpid, 2) == [udp.name(clients[1]), udp.name(clients[2])]
    status = limpid.wait_udp(flows=12, evicted_table=2, evicted_client=0)
    assert status["udp"]["flows"] == 10
    with udp.relayed(lab, family):
        udp.exchange(clients[1], server)
        udp.exchange(clients[0], server)


def test_an_answer_counts_as_use(lab, run, family):
    limpid = run("--udp-flows", "2", "--handover", "off")
    server = udp.bound(lab, family)
    first, second, third = clients_of(lab, family, 3)
    first.send(b"ping")
    asked = udp.receive(server)
    udp.exchange(second, server)
    udp.answer(server, asked, b"pong")
    assert first.recv(100) == b"pong"
    udp.exchange(third, server)
    assert evicted(limpid, 1) == [udp.name(second)]


def test_a_late_answer_to_an_evicted_flow_still_arrives(lab, run, family):
    limpid = run("--udp-flows", "1", "--handover", "off")
    server = udp.bound(lab, family)
    first, second = clients_of(lab, family, 2)
    first.send(b"ping")
    asked = udp.receive(server)
    udp.exchange(second, server)
    assert evicted(limpid, 1) == [udp.name(first)]
    udp.answer(server, asked, b"pong")
    assert first.recv(100) == b"pong"


def test_a_client_at_its_cap_loses_its_own_flows_alone(lab, run, family):
    lab.client.ip(f"address add {family.second_client} dev eth0 {'nodad' if family.version == 6 else ''}")
    limpid = run("--udp-flows-per-client", "3", "--handover", "off")
    server = udp.bound(lab, family)
    other = udp.client(lab, family, source=family.second_client.partition("/")[0])
    udp.exchange(other, server)
    clients = clients_of(lab, family, 5, source=family.client)
    for client in clients:
        udp.exchange(client, server)
    assert evicted(limpid, 2) == [udp.name(clients[0]), udp.name(clients[1])]
    status = limpid.wait_udp(flows=6, evicted_client=2, evicted_table=0)
    assert status["udp"]["flows"] == 4
    udp.exchange(other, server)
    limpid.wait_udp(flows=6)


def test_a_flood_of_one_client_harms_no_other(lab, run, family):
    lab.client.ip(f"address add {family.second_client} dev eth0 {'nodad' if family.version == 6 else ''}")
    addresses = lab.add_many_destinations(family, FLOOD)
    limpid = run("--handover", "off", defaults=("--interface", "lan0", "--udp", "8080,8081"))
    drain = udp.bound(lab, family, port=8081)
    flooder = udp.bound(lab, family, lab.client, address=family.client, port=0)
    other, server = udp.flow(lab, family, source=family.second_client.partition("/")[0])
    udp.exchange(other, server)
    for start in range(0, FLOOD, 200):
        for address in addresses[start : start + 200]:
            flooder.sendto(b"?", (address, 8081))
        udp.exchange(other, server)
    drain.close()
    status = limpid.wait_udp(flows=FLOOD + 1, evicted_table=0)
    assert status["counters"]["udp"]["evicted_client"] == FLOOD - 8192
    assert udp.name(other) not in {line["client"] for line in limpid.access_log()}
    flooder.sendto(b"still served", (family.server, PORT))
    assert udp.receive(server).data == b"still served"


def test_a_full_table_takes_little_memory_and_no_more(lab, run):
    family = FAMILIES[0]
    addresses = lab.add_many_destinations(family, 2 * 4096)
    limpid = run("--udp-flows", "4096", "--udp-flows-per-client", "4096", "--access-log", "off")
    worker = limpid.pids()["worker"]
    server = udp.bound(lab, family)
    client = udp.bound(lab, family, lab.client, port=0)
    udp.exchange(udp.client(lab, family), server)
    before = processes.resident_bytes(worker)
    used = []
    for half in addresses[:4096], addresses[4096:]:
        for start in range(0, len(half), 256):
            for address in half[start : start + 256]:
                client.sendto(b"?", (address, PORT))
            for _ in half[start : start + 256]:
                udp.receive(server)
        used.append(processes.resident_bytes(worker) - before)
    assert limpid.status()["udp"]["flows"] == 4096
    print(f"memory per flow: {used[0] / 4096:.0f} bytes")
    assert SANITIZED or used[0] <= 4096 * MEMORY_PER_FLOW
    assert SANITIZED or used[1] <= used[0] + (256 << 10)


def test_an_idle_limpid_with_flows_uses_no_processor(lab, limpid, family):
    server = udp.bound(lab, family)
    clients = clients_of(lab, family, 50)
    for client in clients:
        udp.exchange(client, server)
    udp.hand_over(limpid, clients[0], server)
    pids = limpid.pids().values()
    before = [processes.cpu_seconds(pid) for pid in pids]
    assert stays_silent(clients, 1.0)
    assert sum(processes.cpu_seconds(pid) for pid in pids) - sum(before) < 0.05
