# SPDX-License-Identifier: MIT
# Programs under `limpid exec` on the lab's gateway, and who answers their calls.
import os
import pathlib
import tempfile

import pytest

from . import processes
from .deadline import eventually
from .limpid import BINARY

LISTEN = 3129  # where programs listen, and what TPROXY rules name
EXEC = (BINARY, "exec", "--")
AS_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


def from_source(source, *options):
    return (BINARY, "exec", "--source", source, *options, "--")


def run_as(lab, *words, options=(), **keys):
    return lab.gateway.run(BINARY, "exec", *options, "--", *words, check=False, **keys)


def foreign(family, number=7):
    """An address that nobody in the lab has."""
    return family.documentation.partition("/")[0].removesuffix("0") + str(number)


def attendants(lab):
    return [pid for pid in lab.gateway.processes() if processes.status(pid)["Name"] == "limpid-exec"]


@pytest.fixture(autouse=True)
def nobody_is_left(lab):
    """For a module that imports it: after each of its tests no process lives on the gateway, no attendant either."""
    yield
    eventually(lambda: not lab.gateway.processes(), what="the end of every process on the gateway")


@pytest.fixture
def public():
    """A directory that everybody may read, with a page in it."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        (pathlib.Path(directory) / "page").write_text("hello of the page\n")
        yield pathlib.Path(directory)
