# SPDX-License-Identifier: MIT
# Links too small for a datagram: whoever forbids fragments is told the size, whoever allows them gets through.
import errno

import pytest
from support import udp
from support.families import IPV4
from support.runner import TAKE_UDP

DEFAULTS = TAKE_UDP
MTU = 1280
TOO_LARGE = 1400


@pytest.fixture(params=["relayed", "handed_over"])
def carrier(request):
    return request.param


def flow(lab, limpid, family, carrier, **options):
    client, server = udp.flow(lab, family, **options)
    if carrier == "handed_over":
        udp.hand_over(limpid, client, server)
    return client, server


def test_a_datagram_too_large_for_the_uplink_is_answered_with_the_mtu(lab, run, family, carrier):
    lab.gateway.ip(f"link set wan0 mtu {MTU}")
    limpid = run()
    client, server = flow(lab, limpid, family, carrier, errors=1, discover_mtu=udp.NEVER_FRAGMENT)
    client.send(bytes(TOO_LARGE))
    assert udp.icmp_error(client) == udp.IcmpError(errno.EMSGSIZE, MTU, family.gateway_lan)
    assert udp.path_mtu(client) == MTU
    with pytest.raises(OSError, match="Message too long"):
        client.send(bytes(TOO_LARGE))
    udp.icmp_error(client)  # of that call, by the client's own kernel
    udp.exchange(client, server, bytes(MTU - 48))


def test_a_client_that_does_not_ask_for_errors_is_told_too(lab, run, family):
    lab.gateway.ip(f"link set wan0 mtu {MTU}")
    run()
    client = udp.client(lab, family, discover_mtu=udp.NEVER_FRAGMENT)
    client.send(bytes(TOO_LARGE))
    with pytest.raises(OSError, match="Message too long"):
        client.recv(1)


def test_an_answer_too_large_for_the_clients_link_is_answered_with_the_mtu(lab, run, family, carrier):
    lab.gateway.ip(f"link set lan0 mtu {MTU}")
    limpid = run()
    client, server = flow(lab, limpid, family, carrier)
    client.send(b"ping")
    asked = udp.receive(server)
    udp.set_option(server, errors=1, discover_mtu=udp.NEVER_FRAGMENT)
    udp.answer(server, asked, bytes(TOO_LARGE))
    assert udp.icmp_error(server) == udp.IcmpError(errno.EMSGSIZE, MTU, family.gateway_wan)


def test_a_datagram_too_large_for_a_link_further_on_is_answered_with_the_mtu(lab, run, family, carrier):
    far = lab.add_server_beyond_a_small_link(mtu=MTU)
    limpid = run()
    server = udp.bound(lab, family, far)
    client = udp.client(lab, family, family.other_server, errors=1, discover_mtu=udp.NEVER_FRAGMENT)
    udp.exchange(client, server)
    if carrier == "handed_over":
        udp.hand_over(limpid, client, server)
    client.send(bytes(TOO_LARGE))
    error = udp.icmp_error(client)
    assert (error.errno, error.mtu) == (errno.EMSGSIZE, MTU)
    assert error.offender in (family.server, family.server_alias)
    udp.exchange(client, server, bytes(MTU - 48))


def test_where_fragments_are_allowed_it_is_sent_in_fragments(lab, run):
    lab.gateway.ip(f"link set wan0 mtu {MTU}")
    run("--handover", "off")
    client, server = udp.flow(lab, IPV4, discover_mtu=udp.FRAGMENT)
    for number, size in enumerate((TOO_LARGE, 8192, udp.LARGEST)):
        udp.exchange(client, server, udp.payload(number, size))


def test_beyond_a_small_link_further_on_it_arrives_in_fragments(lab, run):
    far = lab.add_server_beyond_a_small_link(mtu=MTU)
    run("--handover", "off")
    server = udp.bound(lab, IPV4, far)
    client = udp.client(lab, IPV4, IPV4.other_server, discover_mtu=udp.FRAGMENT)
    for number, size in enumerate((TOO_LARGE, 8192)):
        udp.exchange(client, server, udp.payload(number, size))


def test_a_client_that_fragments_by_itself_gets_through_a_smaller_uplink(lab, run, family):
    lab.gateway.ip(f"link set wan0 mtu {MTU}")
    run("--handover", "off")
    client, server = udp.flow(lab, family, discover_mtu=udp.FRAGMENT)
    udp.exchange(client, server, udp.payload(1, 8192))


def test_a_client_that_leaves_it_to_its_kernel_loses_one_datagram_at_most(lab, run, family):
    lab.gateway.ip(f"link set wan0 mtu {MTU}")
    run("--handover", "off")
    client, server = udp.flow(lab, family)
    client.send(bytes(TOO_LARGE))
    with pytest.raises(OSError, match="Message too long"):
        client.recv(1)
    udp.exchange(client, server, udp.payload(1, TOO_LARGE))
