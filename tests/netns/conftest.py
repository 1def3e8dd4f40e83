# SPDX-License-Identifier: MIT
# Fixtures of the system tests: a fresh lab a test, Limpid on its gateway, and the look afterwards that nothing is left.
import fcntl
import os
import pathlib
import shutil
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support.families import FAMILIES  # noqa: E402
from support.lab import Lab  # noqa: E402
from support.rules import Rules  # noqa: E402
from support.runner import TAKE_TCP, Runner  # noqa: E402

_TOOLS = (
    "ip", "nft", "tc", "ss", "strace", "setpriv", "dig", "dnsmasq", "iperf3", "curl", "openssl", "nginx", "haproxy",
    "microsocks", "danted", "tinyproxy", "smtpd", "socat", "nc", "busybox", "websocketd", "squid", "v2ray",
    "traffic_server", "iptables-legacy", "iptables-nft",
)  # fmt: skip
_CONGESTION = pathlib.Path("/proc/sys/net/ipv4/tcp_allowed_congestion_control")
_CONGESTION_BEFORE = "/run/limpid-tests-congestion-control"
_TIME_LIMIT = 120  # seconds for each of a test's set-up, call and teardown


def pytest_sessionstart(session):
    if os.geteuid() != 0:
        pytest.exit("the system tests make network namespaces: run them as root", returncode=1)
    missing = [tool for tool in _TOOLS if not shutil.which(tool)]
    if missing:
        pytest.exit(f"not installed, needed by the system tests: {', '.join(missing)}", returncode=1)


def _limited(item):
    def too_long(*_):
        raise TimeoutError(f"{item.name}: not done within {_TIME_LIMIT} s")

    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(_TIME_LIMIT)
    yield
    signal.alarm(0)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_setup(item):
    yield from _limited(item)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    yield from _limited(item)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_teardown(item):
    yield from _limited(item)


@pytest.fixture(scope="session")
def cubic_allowed():
    """A namespace may use only congestion controls that the initial one allows to everybody."""
    with open(_CONGESTION_BEFORE, "a+", encoding="ascii") as before:
        fcntl.flock(before, fcntl.LOCK_SH)
        allowed = _CONGESTION.read_text()
        if "cubic" not in allowed.split():
            before.write(allowed)
            before.flush()
            _CONGESTION.write_text(f"{allowed.strip()} cubic")
        yield
        try:
            fcntl.flock(before, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # other tests still run: the last ones put it back
        before.seek(0)
        if allowed := before.readline():
            _CONGESTION.write_text(allowed)
        os.unlink(_CONGESTION_BEFORE)


@pytest.fixture
def lab(cubic_allowed):
    made = Lab()
    yield made
    made.remove()


@pytest.fixture(params=FAMILIES, ids=lambda family: family.name)
def family(request):
    return request.param


@pytest.fixture
def run(request, lab, tmp_path):
    """run("--option", "value"): a Limpid on the lab's gateway that takes lan0's connections to port 8080, or what the
    module of the test names in DEFAULTS."""
    runner = Runner(lab, tmp_path, getattr(request.module, "DEFAULTS", TAKE_TCP))
    yield runner
    complaints = runner.finish()
    assert not complaints, "\n".join(complaints)


@pytest.fixture
def rules(lab, run):
    """`limpid rules` on the lab's gateway."""
    return Rules(lab, run)


@pytest.fixture
def limpid(run):
    """A Limpid as most tests want it."""
    return run()
