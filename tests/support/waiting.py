"""Waits for a condition, with a deadline."""

import time
from collections.abc import Callable


def wait_until(condition: Callable[[], object], secs: float) -> None:
    """Wait until `condition()` is true, for `secs` seconds at most."""
    deadline = time.monotonic() + secs
    while not condition():
        assert time.monotonic() < deadline, f"not true after {secs} s: {condition}"
        time.sleep(0.005)
