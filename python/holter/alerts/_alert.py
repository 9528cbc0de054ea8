"""The alert type, and the parser for its lines in `events.jsonl`."""

import datetime as dt
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

__all__ = ["LEVELS", "Alert", "parse_alerts"]

LEVELS = ("info", "warning", "error")
"""Severity levels, least severe first."""


@dataclass(frozen=True)
class Alert:
    """One alert from a rule.

    Attributes:
        time: When the point was logged, UTC.
        level: `"info"`, `"warning"` or `"error"`.
        series: The series; None if the event is about the run's events as a whole.
        step: The point's step; None like `series`.
        value: The point's value; None like `series`.
        rule: The rule's kind, such as `"spike"`; `"limit"` is the last event of a rank that reached its maximum.
        stop: Whether the rule requests that training stops.
        message: A readable description.
        rank: The process of a distributed run that recorded the series.
    """

    time: dt.datetime
    level: str
    series: str | None
    step: int | None
    value: float | None
    rule: str
    stop: bool
    message: str
    rank: int = 0


def parse_alerts(lines: Iterable[str], rank: int) -> list[Alert]:
    """Parse the lines of a rank's events file; skip malformed lines."""
    return [alert for line in lines if (alert := _parse_alert(line, rank)) is not None]


def _parse_time(text: str) -> dt.datetime:
    time = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))  # Python 3.10 does not accept "Z"
    return time if time.tzinfo else time.replace(tzinfo=dt.timezone.utc)


def _parse_alert(line: str, rank: int) -> Alert | None:
    """Parse one untrusted line; return None if it is malformed."""
    try:
        found: dict[str, Any] = json.loads(line)
        series, step, value = found["series"], found["step"], found["value"]
        return Alert(
            time=_parse_time(found["time"]),
            level=str(found["level"]),
            series=None if series is None else str(series),
            step=None if step is None else int(step),
            value=None if value is None else float(value),
            rule=str(found["rule"]),
            stop=bool(found["stop"]),
            message=str(found["message"]),
            rank=rank,
        )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None
