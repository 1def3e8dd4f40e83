# SPDX-License-Identifier: MIT
# What health checks find out of an upstream's addresses, and what `limpid status` tells of them.
import pytest
from support import traffic, upstreams
from support.outcomes import is_reset
from support.settings import intercept, rule, upstream

SOCKS, OTHER = upstreams.SOCKS, 1081
CHECKS = pytest.mark.parametrize("check", ["connect", "handshake"])


@pytest.fixture
def other(lab):
    return lab.add_other_server()


def office(family, ports=(SOCKS,), **keys):
    addresses = [family.text(family.other_server, port) for port in ports]
    keys = {"check_interval": "100ms", "connect_timeout": "300ms", **keys}
    return upstream(name="office", type="socks5", address=addresses, **keys) + rule(name="all", action="office")


def wait_for(limpid, *states):
    """The upstream's addresses, once they are so."""

    def is_so(status):
        (one,) = status["upstreams"]
        return one["name"] == "office" and tuple(address["state"] for address in one["addresses"]) == states

    return limpid.wait_status(is_so, f"addresses that are {states}", 10.0)["upstreams"][0]["addresses"]


@CHECKS
def test_an_address_that_goes_and_comes_back_is_seen_each_time(lab, other, run, tmp_path, family, check):
    limpid = run.configured(intercept(), office(family, check=check))
    failures = 0
    for _ in range(3):
        (down,) = wait_for(limpid, "down")
        assert down["failures"] > failures and down["sessions"] == 0
        failures = down["failures"]
        with upstreams.microsocks(other, tmp_path):
            (up,) = wait_for(limpid, "up")
            assert up["address"] == family.text(family.other_server, SOCKS)
            client, server = lab.session(family)
            traffic.exchange(client, server)
            assert wait_for(limpid, "up")[0]["sessions"] == 1
            traffic.finish(client, server)
            limpid.wait_sessions(0)


def test_status_says_it_to_people_too(lab, other, run, tmp_path, family):
    with upstreams.microsocks(other, tmp_path):
        limpid = run.configured(intercept(), office(family, [SOCKS, OTHER]))
        wait_for(limpid, "up", "down")
        lines = limpid.command("status").stdout.splitlines()
        up, down = (line for line in lines if line.startswith("upstream office"))
        assert up.endswith(f"{family.text(family.other_server, SOCKS)}: up, 0 sessions, 0 failures")
        assert f"{family.text(family.other_server, OTHER)}: down, 0 sessions, " in down


def test_without_upstreams_there_is_nothing_to_say(limpid):
    assert limpid.status()["upstreams"] == []


def test_a_handshake_tells_a_proxy_from_somebody_who_only_accepts(lab, other, run, family):
    lab.listener(family, other, port=SOCKS)
    wait_for(run.configured(intercept(), office(family, check="handshake")), "down")


def test_connecting_does_not(lab, other, run, family):
    lab.listener(family, other, port=SOCKS)
    limpid = run.configured(intercept(), office(family))
    for _ in range(3):
        lab.accept(family, other, port=SOCKS)
    wait_for(limpid, "up")


def test_a_proxy_that_refuses_the_password_is_there_and_passed_over(lab, other, run, tmp_path, family):
    secret = tmp_path / "office.secret"
    secret.write_text("wrong")
    secret.chmod(0o600)
    keys = {"check": "handshake", "username": "limpid", "password_file": str(secret), "when_down": "direct"}
    limpid = run.configured(intercept(), office(family, [SOCKS, OTHER], **keys))
    with upstreams.microsocks(other, tmp_path, username="limpid", password="right"):
        wait_for(limpid, "refuses", "down")
        lab.listener(family)
        assert is_reset(lab, family, b"ping")  # not direct: the proxy is not down
        with upstreams.microsocks(other, tmp_path, port=OTHER, username="limpid", password="wrong"):
            wait_for(limpid, "refuses", "up")
            client, server = lab.session(family)
            traffic.exchange(client, server)


def test_nothing_is_known_without_a_worker_and_all_of_it_of_the_next(lab, other, run, tmp_path, family):
    limpid = run.configured(intercept(), office(family, [SOCKS, OTHER]))
    with upstreams.microsocks(other, tmp_path):
        wait_for(limpid, "up", "down")
        limpid.wait_replaced("worker", limpid.kill("worker")["worker"])
        wait_for(limpid, "up", "down")
