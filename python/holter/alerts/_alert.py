"""What a rule said: as users get it, and as a line of `events.jsonl`."""

import datetime as dt
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

__all__ = ["LEVELS", "Alert", "alerts_of_lines"]

LEVELS = ("info", "warning", "error")
"""How serious an alert may be, the least first."""


@dataclass(frozen=True)
class Alert:
    """What a rule said, once.

    Attributes:
        time: When the point was logged, UTC.
        level: `"info"`, `"warning"` or `"error"`.
        series: The series; None where the event is about the run's events as a whole.
        step: The point's step; None as `series`.
        value: The point's value; None as `series`.
        rule: The rule's kind, as in `"spike"`; `"limit"` is the last event of a rank that had too many.
        stop: Whether the rule asks the training to stop.
        message: What happened, in words.
        rank: The process of a distributed run that watched the series.
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


def alerts_of_lines(lines: Iterable[str], rank: int) -> list[Alert]:
    """Return the alerts that the lines of a rank's events file tell of; what is no such line is left out."""
    return [alert for line in lines if (alert := _alert(line, rank)) is not None]


def _time(text: str) -> dt.datetime:
    time = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))  # which Python 3.10 does not take itself
    return time if time.tzinfo else time.replace(tzinfo=dt.timezone.utc)


def _alert(line: str, rank: int) -> Alert | None:
    """The alert of a line, which anybody may have written."""
    try:
        found: dict[str, Any] = json.loads(line)
        series, step, value = found["series"], found["step"], found["value"]
        return Alert(
            time=_time(found["time"]),
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
