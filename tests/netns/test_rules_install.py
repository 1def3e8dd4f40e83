# SPDX-License-Identifier: MIT
# limpid rules install, remove and list: set-ups that stay.
import json

import pytest
from support import traffic
from support.lab import FAMILIES
from support.limpid import BINARY
from support.outcomes import is_reset
from support.rules import LISTEN, TAKE, proxied, proxy_listener


@pytest.fixture
def listeners(lab):
    return {family: proxy_listener(lab, family) for family in FAMILIES}


@pytest.fixture
def web(rules):
    """Installed under that name, and removed by the end."""
    rules.install("web")
    yield rules
    rules.command("remove", "web")


def listed(rules):
    return {one["name"]: one for one in json.loads(rules.command("list", "--json").stdout)}


def ruleset(lab):
    return lab.gateway.run("nft", "list", "ruleset").stdout


def fib(lab):
    return [lab.gateway.ip(f"-{version} rule show") + lab.gateway.ip(f"-{version} route show table all")
            for version in (4, 6)]  # fmt: skip


def test_an_installed_set_up_serves_and_is_gone_when_removed(lab, rules, listeners, family):
    rules.install("web")
    proxied(lab, family, listeners[family])
    said = rules.command("remove", "web").stdout
    assert "removed: table inet limpid_rules_web" in said
    assert not lab.state_difference()
    client, server = lab.session(family, source_port=0)
    traffic.exchange(client, server)


def test_twice_is_once(lab, web):
    before = ruleset(lab), fib(lab)
    web.install("web")
    assert (ruleset(lab), fib(lab)) == before
    assert list(listed(web)) == ["web"]


def test_new_options_replace_the_old(lab, web, listeners, family):
    web.install("web", "--priority", "2000", "--table", "777", "--without-us", "closed", take=(*TAKE, "--tcp", 8081))
    shown = lab.gateway.ip(f"-{family.version} rule show")
    assert "2000:" in shown and "110:" not in shown
    proxied(lab, family, listeners[family], port=8081)
    listeners[family].close()
    assert is_reset(lab, family)


def test_without_options_it_keeps_its_place(lab, web, listeners, family):
    web.install("other", take=("--interface", "lan0", "--tcp", 8082))
    before = listed(web)
    assert before["web"]["protocol"] != before["other"]["protocol"]
    web.command("remove", "web")
    web.install("other", take=("--interface", "lan0", "--tcp", 8082))
    assert listed(web)["other"] == before["other"]
    web.install("web")
    assert listed(web) == before
    proxied(lab, family, listeners[family])
    web.command("remove", "other")
    proxied(lab, family, listeners[family])


def test_removing_what_is_not_there_is_no_error(lab, rules):
    assert rules.command("remove", "web").stdout == 'there are no rules "web": nothing to remove\n'
    assert listed(rules) == {}


@pytest.mark.parametrize(
    "damage",
    [
        ("nft", "delete", "table", "inet", "limpid_rules_web"),
        ("nft", "flush", "table", "inet", "limpid_rules_web"),
        ("ip", "rule", "del", "priority", "110"),
        ("ip", "-6", "route", "flush", "table", "5301"),
    ],
    ids=" ".join,
)
def test_what_is_half_gone_can_be_removed_and_installed_again(lab, web, listeners, damage):
    whole = ruleset(lab), fib(lab)
    lab.gateway.run(*damage)
    web.install("web")
    assert (ruleset(lab), fib(lab)) == whole
    for family in FAMILIES:
        proxied(lab, family, listeners[family])
    lab.gateway.run(*damage)
    web.command("remove", "web")
    assert not lab.state_difference()


def test_limpid_run_and_withdraw_leave_it_alone_and_it_them(lab, run, web, listeners, family):
    before = listed(web)
    limpid = run(defaults=("--interface", "lan0", "--tcp", "8082"))
    for _ in range(2):
        proxied(lab, family, listeners[family])
        client, server = lab.session(family, port=8082)
        traffic.exchange(client, server)
        traffic.finish(client, server)
    assert limpid.status()["counters"]["accepted"] == 2
    run.command("withdraw")
    run.command("withdraw")
    assert listed(web) == before
    limpid = run(defaults=("--interface", "lan0", "--tcp", "8082"))
    web.command("remove", "web")
    client, server = lab.session(family, port=8082)
    traffic.exchange(client, server)
    traffic.finish(client, server)
    web.install("web")


def test_a_held_name_is_neither_installed_nor_removed(lab, rules, listeners):
    rules.hold("--name", "web")
    for verb, words in ("install", ("web", "--port", LISTEN, *TAKE)), ("remove", ("web",)):
        done = rules.command(verb, *words, check=False)
        assert done.returncode == 1
        assert 'held by a "limpid rules hold" that runs: end it' in done.stderr


def test_an_installed_name_is_not_held(lab, web, listeners):
    code, said = web.refused("--name", "web")
    assert code == 1 and '"limpid rules remove web" removes them' in said


def test_a_table_of_somebody_elses_is_left_alone(lab, rules):
    lab.gateway.nft("table inet limpid_rules_web { chain mine { }; }")
    for verb, words in ("install", ("web", "--port", LISTEN, *TAKE)), ("remove", ("web",)):
        done = rules.command(verb, *words, check=False)
        assert done.returncode == 1 and "that is not limpid's" in done.stderr
    assert "chain mine" in ruleset(lab)


def test_there_are_seven_at_most_and_the_eighth_is_told(lab, rules):
    names = [f"number{count}" for count in range(7)]
    for count, name in enumerate(names):
        rules.install(name, take=("--interface", "lan0", "--tcp", 9000 + count))
    assert sorted(listed(rules)) == names
    refused = rules.install("number7", check=False)
    assert refused.returncode == 1 and '"limpid rules list" tells which' in refused.stderr
    for name in names:
        rules.command("remove", name)
    assert not lab.state_difference()


def test_a_step_that_is_refused_undoes_the_others(lab, rules, tmp_path):
    """Every fourth netlink message of an installation is refused in its turn."""
    rules.command("list")
    words = (BINARY, "rules", "install", "web", "--port", LISTEN, *TAKE, "--without-us", "closed")
    trace = tmp_path / "trace"
    lab.gateway.run("strace", "-qq", "-o", trace, "-e", "trace=sendmsg", *words)
    rules.command("remove", "web")
    count = len(trace.read_text().splitlines())
    assert count > 10
    for step in range(1, count + 1, 4):
        inject = ("-e", "trace=sendmsg", "-e", f"inject=sendmsg:error=EPERM:when={step}")
        done = lab.gateway.run("strace", "-qq", "-o", trace, *inject, *words, check=False)
        if done.returncode == 0:
            rules.command("remove", "web")
        else:
            assert done.stderr.strip(), f"step {step} says what was refused"
            rules.command("remove", "web")  # what could not be undone, if anything, is found again
        assert not lab.state_difference(), f"step {step}"
