"""Text for people: nothing that a run's files say can command the terminal, and numbers read well.

What comes from a run (names, configuration, messages with paths) passes `visible` before it is shown.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

__all__ = [
    "age_text",
    "bytes_text",
    "count_text",
    "duration_text",
    "json_ready",
    "shortened",
    "time_text",
    "value_text",
    "visible",
]

_UNITS = ((7 * 86400, "w"), (86400, "d"), (3600, "h"), (60, "min"))
_LIKELY_LATEST_YEAR = 9999


def visible(text: str) -> str:
    r"""Return the text with each character that a terminal would obey or hide written as an escape.

    Controls, escape sequences, line breaks, marks that reverse the direction of writing and characters of no
    width become `\x1b` and the like; all that can be seen stays.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def shortened(text: str, limit: int) -> str:
    """Return at most `limit` characters of the text: its two ends, since names differ at either."""
    if len(text) <= limit:
        return text
    head = (limit - 1) // 2
    return f"{text[:head]}…{text[len(text) - (limit - 1 - head) :]}"


def value_text(value: float) -> str:
    """Return a value in six digits: `2.30259`, `1e-05`, `nan`."""
    return f"{value:.6g}"


def count_text(count: int) -> str:
    """Return a count with its thousands apart."""
    return f"{count:,}"


def bytes_text(size: float) -> str:
    """Return a size such as `4.2 GB`, in powers of 1,000 as `df -H` has it."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def duration_text(secs: float) -> str:
    """Return a length of time by its largest unit, and the next smaller one where that says more: `2 h 5 min`."""
    if not math.isfinite(secs):
        return "?"
    whole = int(max(secs, 0))
    for (size, unit), (smaller, smaller_unit) in zip(_UNITS, (*_UNITS[1:], (1, "s")), strict=True):
        if whole >= size:
            count, rest = divmod(whole, size)
            return f"{count} {unit}" + (f" {rest // smaller} {smaller_unit}" if count < 10 and rest >= smaller else "")
    return f"{whole} s"


def age_text(then: dt.datetime, now: dt.datetime) -> str:
    """Return how long ago `then` was: `3 min ago`."""
    secs = (now - then).total_seconds()
    if secs < -60:
        return "in the future"
    whole = int(max(secs, 0))
    for size, unit in _UNITS:
        if whole >= size:
            return f"{whole // size} {unit} ago"
    return f"{whole} s ago"


def time_text(time: dt.datetime) -> str:
    """Return a time in UTC to the second, as ISO 8601 has it: the same everywhere, and in order when sorted."""
    return time.astimezone(dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def json_ready(value: Any) -> Any:
    """Return the value with each number that JSON has no form for as `"nan"`, `"inf"` or `"-inf"`."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {str(key): json_ready(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_ready(item) for item in value]
    return value
