# SPDX-License-Identifier: MIT
# `limpid doctor`, asked and answered.
import json
import pathlib

from .limpid import BINARY

# No limpid listens there: the doctor judges what it finds.
NOWHERE = pathlib.Path("/nonexistent/limpid.sock")


class Diagnosis:
    """What it said: a list of findings, each a dict."""

    def __init__(self, done):
        assert done.returncode in (0, 1), done.stderr
        answer = json.loads(done.stdout)
        self.findings = answer["findings"]
        self.is_broken = answer["broken"]
        assert self.is_broken == (done.returncode == 1) == any(one["severity"] == "broken" for one in self.findings)

    def wrong(self):
        """Everything that is not well: {id: severity, the worst}."""
        order = ("ok", "not looked at", "warning", "broken")
        worst = {}
        for one in self.findings:
            if one["severity"] != "ok":
                worst[one["id"]] = max(worst.get(one["id"], "ok"), one["severity"], key=order.index)
        return worst

    def of(self, identity):
        return [one for one in self.findings if one["id"] == identity and one["severity"] != "ok"]


def examine(namespace, *words, control=NOWHERE, launcher=()):
    """What `limpid doctor` says in the namespace."""
    return Diagnosis(
        namespace.run(*launcher, BINARY, "doctor", "--json", "--socket", control, *words, check=False)
    )


def mend(namespace, finding):
    """Runs the commands that a finding names, as they stand there."""
    lines = [line for line in finding["mend"].splitlines() if "#" not in line]
    assert lines, finding
    for line in lines:
        namespace.run("sh", "-c", line)
