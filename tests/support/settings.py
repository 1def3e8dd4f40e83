# SPDX-License-Identifier: MIT
# Configuration files as tests write them: rule(host=["a.example"], action="drop") is that table in TOML. A key that
# Python has a use for is written with '_' at its end: from_=["10.1.0.0/24"].
import json


def intercept(**keys):
    """What is taken: lan0's connections to the ports that the tests' servers have, unless a key says otherwise."""
    return _table("[intercept]", {"interfaces": ["lan0"], "tcp": ["8080-8081", "8443"], **keys})


def limits(**keys):
    return _table("[limits]", keys)


def rule(**keys):
    return _table("[[rule]]", keys)


def upstream(**keys):
    return _table("[[upstream]]", keys)


def listener(**keys):
    return _table("[[listener]]", keys)


def _table(head, keys):
    lines = (f"{key.rstrip('_')} = {json.dumps(value)}\n" for key, value in keys.items())
    return head + "\n" + "".join(lines)
