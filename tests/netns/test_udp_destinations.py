# SPDX-License-Identifier: MIT
# Many destinations: a flow costs no descriptor.
from support import processes, udp
from support.lab import PORT
from support.runner import TAKE_UDP

DEFAULTS = TAKE_UDP
COUNT = 10000
AT_ONCE = 100


def ask_everybody(client, server, addresses):
    """A datagram from the one client to each address, and each one's answer."""
    for start in range(0, len(addresses), AT_ONCE):
        some = addresses[start : start + AT_ONCE]
        for address in some:
            client.sendto(address.encode(), (address, PORT))
        for _ in some:
            asked = udp.receive(server)
            assert asked.data.decode() == asked.destination
            udp.answer(server, asked, asked.data)
        heard = [udp.receive(client) for _ in some]
        assert {datagram.source[0] for datagram in heard} == set(some)
        assert all(datagram.data.decode() == datagram.source[0] for datagram in heard)


def test_ten_thousand_destinations_of_one_client_port_take_no_descriptor(lab, run, family):
    addresses = lab.add_many_destinations(family, COUNT)
    limpid = run("--udp-flows-per-client", "20000")
    worker = limpid.pids()["worker"]
    server = udp.bound(lab, family)
    client = udp.bound(lab, family, lab.client, port=40000)
    before = processes.descriptors(worker)
    with udp.relayed(lab, family):
        ask_everybody(client, server, addresses)
    assert processes.descriptors(worker) == before
    limpid.wait_udp(flows=COUNT, datagrams_up=COUNT, datagrams_down=COUNT, evicted_client=0, evicted_table=0)


def test_flows_of_many_ports_take_no_descriptor(lab, limpid, family):
    worker = limpid.pids()["worker"]
    server = udp.bound(lab, family)
    clients = [udp.client(lab, family) for _ in range(300)]
    before = processes.descriptors(worker)
    for client in clients:
        udp.exchange(client, server)
    status = limpid.wait_udp(flows=300, datagrams_down=300)
    assert status["udp"]["flows"] == 300
    assert processes.descriptors(worker) == before
