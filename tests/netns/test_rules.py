# SPDX-License-Identifier: MIT
# limpid rules hold: the kernel set-up for a proxy that is not limpid, as long as it runs.
import errno
import json
import signal
import socket

import pytest
from support import traffic, udp
from support.deadline import eventually
from support.families import IPV4
from support.firewalls import FIREWALL, MASQUERADE
from support.lab import FAMILIES, PORT, endpoint
from support.limpid import CLEAN_WITHIN
from support.outcomes import is_reset
from support.rules import (
    ADDRESS_KEEPER, LISTEN, REDIRECTOR, accept_from, pass_on, proxied, proxy_listener, proxy_socket,
)  # fmt: skip

BOTH = ("--interface", "lan0", "--tcp", PORT, "--udp", PORT)


@pytest.fixture
def listeners(lab):
    """A transparent proxy's, of both families, which the test serves itself."""
    return {family: proxy_listener(lab, family) for family in FAMILIES}


def test_a_session_through_a_foreign_proxy_is_transparent_on_both_sides(lab, rules, listeners, family):
    rules.hold()
    for _ in range(2):
        proxied(lab, family, listeners[family])


@pytest.mark.parametrize("address", ["loopback", "gateway_lan"])
def test_the_listener_may_stand_on_one_address(lab, rules, family, address):
    where = getattr(family, address)
    listener = proxy_listener(lab, family, where)
    words = ("--listen", where, f"--no-ipv{10 - family.version}")
    rules.hold(*words)
    proxied(lab, family, listener)


def test_one_family_alone_leaves_the_other_alone(lab, rules, listeners, family):
    rules.hold(f"--no-ipv{10 - family.version}")
    proxied(lab, family, listeners[family])
    (other,) = (one for one in FAMILIES if one is not family)
    client, server = lab.session(other)
    assert not lab.is_intercepted(client)
    traffic.exchange(client, server)


def test_what_is_not_named_goes_its_way(lab, rules, listeners, family):
    rules.hold("--bypass", "10.2.0.3,fd00:2::3")
    for options in {"port": 8081}, {"address": family.server_alias}:
        client, server = lab.session(family, **options)
        assert endpoint(server.getpeername()) == endpoint(client.getsockname())
        assert not lab.is_intercepted(client)
        traffic.exchange(client, server)


def test_a_connection_past_a_listener_on_the_same_port_number_lives(lab, rules, listeners, family):
    """A listener on the wildcard address has every destination's port in the eyes of a socket look-up."""
    rules.hold()
    client, server = lab.session(family, port=LISTEN)
    assert not lab.is_intercepted(client)
    traffic.exchange(client, server)
    traffic.finish(client, server)


def test_a_port_used_again_while_the_proxy_has_it_in_time_wait(lab, rules, listeners, family):
    rules.hold()
    for _ in range(3):
        lab.listener(family)
        client = lab.connect(family, source_port=40123)
        accepted = accept_from(lab, listeners[family], client)
        accepted.shutdown(socket.SHUT_WR)  # the proxy's side keeps the TIME_WAIT
        assert client.recv(1) == b""
        client.close()
        accepted.close()


def test_datagrams_reach_the_proxy_and_its_answers_the_client(lab, rules, family):
    taken = proxy_socket(lab, family, socket.SOCK_DGRAM, port=LISTEN)
    rules.hold(f"--no-ipv{10 - family.version}", take=("--interface", "lan0", "--udp", PORT))
    client = udp.client(lab, family)
    client.send(b"question")
    data, source = taken.recvfrom(100)
    assert (data, endpoint(source)) == (b"question", endpoint(client.getsockname()))
    # As v2ray does: a socket with the destination's name.
    answering = proxy_socket(lab, family, socket.SOCK_DGRAM, address=family.server, port=PORT)
    answering.sendto(b"answer", endpoint(source))
    assert client.recv(100) == b"answer"
    client.send(b"another")  # comes to the listener still, and not to the socket that has answered
    assert taken.recv(100) == b"another"


def test_the_answer_to_a_datagram_in_the_clients_name_comes_back(lab, rules, family):
    taken = proxy_socket(lab, family, socket.SOCK_DGRAM, port=LISTEN)
    rules.hold(f"--no-ipv{10 - family.version}", take=("--interface", "lan0", "--udp", PORT))
    client, server = udp.flow(lab, family)
    client.send(b"question")
    _, source = taken.recvfrom(100)
    onward = proxy_socket(lab, family, socket.SOCK_DGRAM, address=source[0], port=source[1])
    onward.sendto(b"question", (family.server, PORT))
    _, seen = server.recvfrom(100)
    assert endpoint(seen) == endpoint(source)
    server.sendto(b"answer", endpoint(seen))
    assert onward.recv(100) == b"answer"


def test_an_icmp_error_about_a_borrowed_connection_reaches_the_proxy(lab, rules, listeners, family):
    lab.gateway.ip(f"route add {family.documentation} via {family.server}")
    lab.server.ip(f"route add unreachable {family.documentation}")
    nowhere = family.documentation.partition("/")[0].removesuffix("0") + "1"
    rules.hold()
    client = lab.connect(family, address=nowhere)
    accept_from(lab, listeners[family], client)
    upstream = proxy_socket(lab, family, address=endpoint(client.getsockname())[0])
    with pytest.raises(OSError) as refused:  # not a time-out, which has no errno
        upstream.connect((nowhere, PORT))
    assert refused.value.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH)


# Conditions of the machine.


def test_behind_masquerade_and_a_stateful_firewall(lab, rules, listeners, family):
    lab.gateway.nft(FIREWALL.format(accept_ours="meta mark & 0x0f000000 == 0x01000000 accept;"))
    lab.gateway.nft(MASQUERADE)
    rules.hold()
    lab.listener(family)
    client = lab.connect(family)
    accepted = accept_from(lab, listeners[family], client)
    upstream, server = pass_on(lab, family, client, accepted)
    assert endpoint(server.getpeername())[0] == family.gateway_wan, "masqueraded, like any other"
    traffic.exchange(client, accepted)
    traffic.exchange(upstream, server)


def test_a_firewall_that_drops_is_named_with_the_rule_that_it_lacks(lab, rules, listeners):
    lab.gateway.nft(FIREWALL.format(accept_ours=""))
    said = rules.hold().stderr()
    assert "nft insert rule inet firewall input meta mark and 0x0f000000 == 0x01000000 accept" in said


def test_syn_cookies(lab, rules, listeners, family):
    lab.gateway.sysctl("ipv4.tcp_syncookies", 2)
    rules.hold()
    for _ in range(2):
        proxied(lab, family, listeners[family])


def test_src_valid_mark(lab, rules, listeners, family):
    lab.gateway.sysctls({"ipv4.conf.all.src_valid_mark": 1, "ipv4.conf.all.rp_filter": 1})
    rules.hold()
    proxied(lab, family, listeners[family])


# This machine's own connections.


def test_local_connections_are_taken_and_the_proxys_own_are_not(lab, rules, family):
    """The proxy runs as a user of its own; whoever else connects from here comes to it."""
    uid = 64123
    caps = ("--inh-caps", "+net_admin", "--ambient-caps", "+net_admin")
    command = ("setpriv", "--reuid", uid, "--clear-groups", *caps, *ADDRESS_KEEPER)
    rules.hold("--local", "--user", uid, command=command, take=("--tcp", PORT))
    client, server = lab.session(family, namespace=lab.gateway)
    assert lab.is_intercepted(client)
    assert endpoint(server.getpeername())[0] == family.gateway_wan
    traffic.exchange(client, server)
    traffic.finish(client, server)


# The command.


def test_a_command_is_served_while_it_runs(lab, rules, family):
    rules.hold(command=REDIRECTOR)
    for _ in range(2):
        client, server = lab.session(family)
        assert lab.is_intercepted(client)
        assert endpoint(server.getpeername()) == endpoint(client.getsockname())
        traffic.exchange(client, server)
        traffic.finish(client, server)


def script(*lines):
    """The small proxy, with a shell around it."""
    return ("sh", "-c", "\n".join(lines), "sh", *REDIRECTOR)


@pytest.mark.parametrize(("ending", "wanted"), [("exit 7", 7), ("kill -KILL $$", 128 + signal.SIGKILL)])
def test_the_exit_status_is_the_commands(lab, rules, tmp_path, ending, wanted):
    held = rules.hold(command=script('"$@" & proxy=$!', f"trap 'kill $proxy; {ending}' USR1", "while :; do wait; done"))
    held.signal(signal.SIGUSR1)  # passed on
    assert held.wait() == wanted
    assert not lab.state_difference()


def test_a_stop_ends_the_command_first(lab, rules):
    held = rules.hold(command=script('"$@" & proxy=$!', "trap 'kill $proxy; exit 3' TERM", "while :; do wait; done"))
    assert held.stop() == 3
    assert not lab.state_difference()


def test_a_second_stop_does_not_wait_for_it(lab, rules, tmp_path):
    held = rules.hold(command=script("trap '' TERM", f"echo $$ >{tmp_path}/pid", 'exec "$@"'))
    held.signal(signal.SIGTERM)
    assert held.is_running(), "the command does as it likes"
    held.signal(signal.SIGTERM)
    assert held.wait() == 128 + signal.SIGKILL


def test_a_command_that_is_none(lab, rules):
    code, said = rules.refused(command=("/nonexistent/proxy",))
    assert code == 1
    assert "run /nonexistent/proxy: No such file or directory" in said
    assert not lab.state_difference()


@pytest.mark.parametrize(
    ("ending", "wanted", "hint"), [("exit 4", 4, "exit status 4"), ("exit 0", 1, "have it stay in the foreground")]
)
def test_a_command_that_ends_before_it_listens(lab, rules, ending, wanted, hint):
    code, said = rules.refused(command=("sh", "-c", ending))
    assert (code, "before it listened" in said, hint in said) == (wanted, True, True), said
    assert not lab.state_difference()


def test_a_command_that_never_listens(lab, rules):
    code, said = rules.refused("--start-timeout", "300ms", command=("cat", "/dev/zero"))
    assert code == 1
    assert f"nobody listens on 127.0.0.1:{LISTEN} (TCP): have the proxy listen there" in said
    assert not lab.state_difference()


def test_a_listener_that_is_not_transparent_is_told(lab, rules):
    lab.listener(IPV4, lab.gateway, port=LISTEN)
    code, said = rules.refused("--start-timeout", "100ms", "--no-ipv6")
    assert code == 1 and "has no transparent socket (IP_TRANSPARENT)" in said


def test_a_listener_on_another_address_is_told(lab, rules):
    proxy_listener(lab, IPV4, "10.1.0.1")
    code, said = rules.refused("--start-timeout", "100ms", "--no-ipv6")
    assert code == 1 and "somebody does on 10.1.0.1: name that with --listen 10.1.0.1" in said


def test_a_probe_that_does_not_come_through_ends_the_start(lab, rules, listeners):
    lab.gateway.nft(
        "table inet strict { chain in { type filter hook input priority 0; meta nfproto ipv6 iifname lo drop; }; }"
    )
    code, said = rules.refused()
    assert code == 1 and "probe of IPv6" in said


def test_the_command_is_not_told_of_systemd(lab, rules, tmp_path):
    rules.hold(command=script(f"env >{tmp_path}/environment", 'exec "$@"'))
    seen = (tmp_path / "environment").read_text()
    assert "PATH=" in seen and "NOTIFY_SOCKET" not in seen


# Deaths.


def kill(held):
    held.process.kill()
    held.process.wait()


def test_after_a_sigkill_nothing_is_left(lab, rules, listeners, family):
    held = rules.hold("--local", "--user", "64123", take=BOTH, ready=False)
    for one in listeners:
        proxy_socket(lab, one, socket.SOCK_DGRAM, port=LISTEN)
    held.wait_ready()
    kill(held)
    eventually(lambda: not lab.state_difference(), CLEAN_WITHIN, "nothing left")
    client, server = lab.session(family)
    traffic.exchange(client, server)


def test_after_a_sigkill_the_command_ends_too(lab, rules):
    held = rules.hold(command=REDIRECTOR)
    kill(held)
    eventually(lambda: not lab.gateway.processes(), CLEAN_WITHIN, "no process left")
    assert not lab.state_difference()


def test_closed_refuses_after_a_sigkill_until_it_is_removed(lab, rules, listeners, family):
    held = rules.hold("--without-us", "closed", "--name", "web")
    proxied(lab, family, listeners[family])
    kill(held)
    eventually(lambda: "lookup 5301" not in lab.gateway.ip(f"-{family.version} rule show"), CLEAN_WITHIN)
    assert is_reset(lab, family)
    (left,) = json.loads(rules.command("list", "--json").stdout)
    assert (left["name"], left["state"]) == ("web", "left by a dead hold")
    held = rules.hold("--without-us", "closed", "--name", "web")
    proxied(lab, family, listeners[family])
    assert held.stop() == 0
    assert is_reset(lab, family)
    rules.command("remove", "web")
    assert not lab.state_difference()


def test_closed_refuses_while_the_proxy_does_not_listen(lab, rules, listeners, family):
    held = rules.hold("--without-us", "closed")
    listeners[family].close()
    assert is_reset(lab, family)
    client, server = lab.session(family, port=8081)
    traffic.exchange(client, server)
    rules.end(held)


def test_a_start_that_fails_leaves_no_guard(lab, rules):
    code, _ = rules.refused("--without-us", "closed", "--start-timeout", "50ms")
    assert code == 1
    assert not lab.state_difference()


def test_what_others_take_away_comes_back(lab, rules, listeners, family):
    held = rules.hold("--without-us", "closed")
    before = lab.gateway.ip(f"-{family.version} rule show")
    lab.gateway.ip(f"-{family.version} rule del priority 110")
    lab.gateway.run("nft", "delete", "table", "inet", "limpid_guard_proxy")
    eventually(lambda: lab.gateway.ip(f"-{family.version} rule show") == before, what="the fib rule")
    eventually(lambda: "limpid_guard_proxy" in lab.gateway.run("nft", "list", "tables").stdout, what="the guard")
    proxied(lab, family, listeners[family])
    rules.end(held)


# Beside each other.


def test_two_holds_and_a_limpid_beside_each_other(lab, run, rules, family):
    first = proxy_listener(lab, family)
    no_other = f"--no-ipv{10 - family.version}"
    rules.hold(no_other, "--name", "first")
    second_port = LISTEN + 1
    second = proxy_socket(lab, family, port=second_port)
    second.listen(8)
    words = ("hold", "--name", "second", "--port", second_port, "--interface", "lan0", "--tcp", 8081, no_other)
    run(*words, defaults=(), verb="rules")
    limpid = run("--tcp", "8082", defaults=("--interface", "lan0"))
    proxied(lab, family, first)
    proxied(lab, family, second, port=8081)
    client, server = lab.session(family, port=8082)
    traffic.exchange(client, server)
    traffic.finish(client, server)
    assert limpid.status()["counters"]["accepted"] == 1
    assert limpid.stop() == 0
    proxied(lab, family, first)
    run.command("withdraw")
    proxied(lab, family, second, port=8081)


def test_a_name_is_taken_once(lab, rules, listeners):
    rules.hold()
    code, said = rules.refused()
    assert code == 1 and 'held by a "limpid rules hold" that runs' in said


def test_numbers_of_others_are_not_taken(lab, rules, listeners, family):
    lab.gateway.ip("rule add priority 110 from 192.0.2.1 lookup main")
    lab.gateway.ip("-6 rule add priority 110 from 2001:db8::1 lookup main")
    rules.hold()
    assert "114:	from all fwmark 0x3000000/0xf000000 lookup 5302" in lab.gateway.ip(f"-{family.version} rule show")
    proxied(lab, family, listeners[family])


def test_bits_of_others_are_named(lab, rules, listeners):
    lab.gateway.ip("rule add priority 900 fwmark 0x1000000/0x1000000 lookup main")
    code, said = rules.refused()
    assert code == 1 and "choose other bits with mark (--mark)" in said
    rules.hold("--mark", "0x100/0x100", "--local-mark", "0x200/0x200")
