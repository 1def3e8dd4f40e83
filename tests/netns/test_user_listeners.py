# SPDX-License-Identifier: MIT
# [[listener]]: plain ones, and those that TPROXY rules of the user's feed; with and without interception, and through
# reloads.
import pytest
from support import tproxy, traffic
from support.lab import endpoint
from support.outcomes import exchange_streams, is_reset
from support.settings import intercept, listener, rule, upstream

IN = 9000


def at(family, port=IN):
    return family.text("0.0.0.0" if family.version == 4 else "::", port)


def web(family, lab, **keys):
    keys = {"name": "web", "type": "fixed", "address": [family.text(family.server, 8080)], **keys}
    return upstream(**keys)


def session(lab, family, port=IN):
    lab.listener(family)
    client = lab.connect(family, family.gateway_lan, port)
    return client, lab.accept(family)


def test_a_plain_listener_is_served_without_any_kernel_state(lab, run, family):
    limpid = run.configured(listener(name="front", listen=[at(family)], action="web"), web(family, lab))
    assert not lab.state_difference()
    client, server = session(lab, family)
    assert endpoint(server.getpeername())[0] == family.gateway_wan
    traffic.exchange(client, server)
    exchange_streams(client, server)
    traffic.finish(client, server)
    (line,) = limpid.sessions_logged(1)
    assert (line["destination"], line["upstream"]) == (family.text(family.gateway_lan, IN), "web")
    assert line["listener"] == "front"
    status = limpid.status()
    assert (status["pids"]["watcher"], status["installed"]) == (0, [])


@pytest.mark.parametrize("source", ["address", "client"])
def test_a_plain_listener_may_go_on_as_the_client(lab, run, family, source):
    run.configured(listener(listen=[at(family)], action="web"), web(family, lab, source=source))
    client, server = session(lab, family)
    address, port = endpoint(server.getpeername())
    assert address == family.client
    assert (port == endpoint(client.getsockname())[1]) is (source == "client")
    traffic.exchange(client, server)


def test_a_listener_beside_an_interception(lab, run, family):
    limpid = run.configured(intercept(), listener(listen=[at(family)], action="web"), web(family, lab, source="client"))
    for ends in session(lab, family), lab.session(family):
        traffic.exchange(*ends)
        assert endpoint(ends[1].getpeername()) == endpoint(ends[0].getsockname())
    assert limpid.status()["sessions"] == 2


def test_a_transparent_listener_keeps_the_destination(lab, run, family):
    tproxy.lead_to(lab, IN)
    limpid = run.configured(listener(listen=[at(family)], accept="transparent"), rule(name="all", action="direct"))
    client, server = lab.session(family)
    assert endpoint(server.getpeername()) == endpoint(client.getsockname())
    traffic.exchange(client, server)
    exchange_streams(client, server)
    traffic.finish(client, server)
    (line,) = limpid.sessions_logged(1)
    assert (line["destination"], line["rule"], line["source_kept"]) == (family.text(family.server, 8080), "all", "port")


def test_who_connects_to_a_transparent_listener_itself_is_refused(lab, run, family):
    limpid = run.configured(listener(listen=[at(family)], accept="transparent"))
    assert is_reset(lab, family, address=family.gateway_lan, port=IN)
    assert limpid.close_reason("loop") == 1


def test_the_clients_of_a_transparent_listener_may_go_to_one_place(lab, run, family):
    tproxy.lead_to(lab, IN)
    run.configured(
        listener(listen=[at(family)], accept="transparent", action="web"),
        web(family, lab, address=[family.text(family.server_alias, 8080)], source="client"),
    )
    client, server = lab.session(family)
    assert endpoint(server.getsockname())[0] == family.server_alias
    assert endpoint(server.getpeername()) == endpoint(client.getsockname())
    traffic.exchange(client, server)


def test_an_address_in_use_ends_the_start(lab, run, family):
    lab.listener(family, lab.gateway, port=IN)
    code, said = run.refused("--config", _file(run, listener(name="a", listen=[at(family)], action="web"),
                                               web(family, lab)), defaults=())  # fmt: skip
    assert code == 1
    assert f"a: listen on {at(family)}: bind: Address already in use" in said


def test_another_limpid_on_the_same_address_ends_the_start(lab, run, family):
    tables = listener(name="a", listen=[at(family)], action="web"), web(family, lab)
    run.configured(*tables)
    code, said = run.refused("--config", _file(run, *tables), defaults=())
    assert code == 1 and "Address already in use" in said


def _file(run, *tables):
    path = run.control.parent / "refused.toml"
    path.write_text("".join(tables))
    return path


# Reload.


@pytest.fixture
def reload(run, tmp_path):
    def reload(*tables, check=True):
        (tmp_path / "limpid0.toml").write_text("".join(tables))
        return run.command("reload", check=check)

    return reload


def test_listeners_come_and_go_with_a_reload(lab, run, reload, family):
    one, two = (listener(name=str(port), listen=[at(family, port)], action="web") for port in (IN, IN + 1))
    run.configured(one, web(family, lab))
    old = session(lab, family)
    reload(one, two, web(family, lab))
    for port in IN, IN + 1:
        traffic.exchange(*session(lab, family, port))
    reload(two, web(family, lab))
    assert is_reset(lab, family, address=family.gateway_lan, port=IN)
    traffic.exchange(*session(lab, family, IN + 1))
    traffic.exchange(*old)


def test_a_listeners_way_changes_with_a_reload(lab, run, reload, family):
    other = lab.add_other_server()
    lab.listener(family, other)
    run.configured(listener(listen=[at(family)], action="web"), web(family, lab))
    traffic.exchange(*session(lab, family))
    reload(listener(listen=[at(family)], action="web"), web(family, lab, address=[family.text(family.other_server, 8080)]))
    client = lab.connect(family, family.gateway_lan, IN)
    traffic.exchange(client, lab.accept(family, other))


def test_an_upstream_on_this_machine_comes_with_a_reload(lab, run, reload, family):
    here = listener(listen=[at(family)], action="web")
    run.configured(here, web(family, lab, source="client"))
    for address in family.loopback, family.gateway_wan:
        accepting = lab.listener(family, lab.gateway, address)
        reload(here, web(family, lab, address=[family.text(address, 8080)], source="client"))
        client = lab.connect(family, family.gateway_lan, IN)
        server = lab.keep(accepting.accept()[0])
        assert endpoint(server.getpeername()) == endpoint(client.getsockname())
        traffic.exchange(client, server)


def test_what_a_reload_cannot_change_is_named(lab, run, reload, family):
    limpid = run.configured(listener(listen=[at(family)], action="web"), web(family, lab))
    client, server = session(lab, family)
    refused = reload(listener(listen=[at(family)], action="web", accept="transparent", fast_open=True),
                     web(family, lab), check=False)  # fmt: skip
    assert refused.returncode != 0
    assert at(family) in refused.stderr and "start it again" in refused.stderr
    traffic.exchange(client, server)
    assert limpid.status()["sessions"] == 1


def test_a_listener_that_cannot_be_opened_changes_nothing(lab, run, reload, family):
    lab.listener(family, lab.gateway, port=IN + 1)
    one = listener(name="one", listen=[at(family)], action="web")
    run.configured(one, web(family, lab))
    refused = reload(one, listener(name="two", listen=[at(family, IN + 1)], action="web"), web(family, lab), check=False)
    assert refused.returncode != 0 and "two: listen on" in refused.stderr
    traffic.exchange(*session(lab, family))


def test_a_worker_that_dies_is_replaced_on_the_same_listener(lab, run, family):
    limpid = run.configured(listener(listen=[at(family)], action="web"), web(family, lab))
    traffic.exchange(*session(lab, family))
    pids = limpid.kill("worker")
    limpid.wait_replaced("worker", pids["worker"])
    traffic.exchange(*session(lab, family))


def test_sessions_may_finish_after_a_request_to_stop_and_none_begin(lab, run, family):
    limpid = run.configured(listener(listen=[at(family)], action="web"), web(family, lab))
    client, server = session(lab, family)
    traffic.exchange(client, server)
    limpid.signal(15)
    limpid.wait_status(lambda status: status["state"] == "draining", "the drain")
    assert is_reset(lab, family, address=family.gateway_lan, port=IN)
    traffic.exchange(client, server)
    traffic.finish(client, server)
    assert limpid.wait() == 0
