# SPDX-License-Identifier: MIT
# Waiting for conditions. Tests never sleep: they wait until something is so, and fail when it is not so in time.
import select
import threading
import time

STEP = 0.01  # seconds between two looks at a condition that cannot be waited for in the kernel


def eventually(condition, deadline=5.0, what=""):
    """Returns the first true value of condition(). Not true within `deadline` seconds: AssertionError."""
    end = time.monotonic() + deadline
    pause = threading.Event()
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise AssertionError(f"not within {deadline:g} s: {what or condition.__name__} (last: {value!r})")
        pause.wait(STEP)


def stays_silent(sockets, seconds):
    """Whether nothing can be read from any of the sockets (no byte, no end, no error) for that long."""
    return select.select(sockets, [], [], seconds)[0] == []
