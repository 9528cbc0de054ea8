"""Numbers, sizes and ages as commands print them. Names and messages go through `holter._text.visible` instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import datetime as dt

__all__ = ["STATUS_STYLES", "age_text", "bytes_text", "count_text", "value_text"]

STATUS_STYLES = {
    "running": "green",
    "finished": "",
    "failed": "red",
    "interrupted": "yellow",
    "stopped": "yellow",
    "crashed": "red",
}
"""The statuses of a run, and their styles on a terminal."""
AGE_UNITS = ((7 * 86400, "w"), (86400, "d"), (3600, "h"), (60, "min"))


def value_text(value: float) -> str:
    """Return a value with six digits: `2.30259`, `1e-05`, `nan`."""
    return f"{value:.6g}"


def count_text(count: int) -> str:
    """Return a count with thousands separators."""
    return f"{count:,}"


def bytes_text(size: float) -> str:
    """Return a size such as `4.2 GB`, in powers of 1,000 like `df -H`."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def age_text(then: dt.datetime, now: dt.datetime) -> str:
    """Return how long ago `then` was: `3 min ago`."""
    secs = (now - then).total_seconds()
    if secs < -60:
        return "in the future"
    whole = int(max(secs, 0))
    for size, unit in AGE_UNITS:
        if whole >= size:
            return f"{whole // size} {unit} ago"
    return f"{whole} s ago"
