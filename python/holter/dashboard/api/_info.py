"""The JSON of a run in the list of runs: its summary, with texts, lists and nesting cut to a bounded size."""

import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from holter import Run
from holter._summary import Attempt, summarize
from holter._text import epoch_micros, iso_time

__all__ = ["Described", "describe"]

_MAX_CONFIG_KEYS: Final = 1000
_MAX_TEXT: Final = 2000
_MAX_ITEMS: Final = 200


@dataclass(frozen=True, slots=True)
class Described:
    """A run at one moment.

    Attributes:
        fields: The fields of the JSON that do not depend on the time.
        last_step: As `RunSummary.last_step`.
        last_logged: As `RunSummary.last_logged`, in seconds since the Unix epoch.
        steps_per_second: As `RunSummary.steps_per_second`.
        total_steps: As `RunSummary.total_steps`.
    """

    fields: Mapping[str, Any]
    last_step: int | None
    last_logged: float | None
    steps_per_second: float | None
    total_steps: int | None

    def at(self, now: float, *, is_live: bool) -> dict[str, Any]:
        """Return all fields of the JSON, including those that depend on the time.

        Args:
            now: Seconds since the Unix epoch.
            is_live: Whether a process is recording the run.
        """
        age = None if self.last_logged is None else max(0.0, now - self.last_logged)
        return {
            **self.fields,
            "last_step": self.last_step,
            "steps_per_second": self.steps_per_second,
            "total_steps": self.total_steps,
            "eta_seconds": self._eta() if is_live else None,
            "last_point_age_seconds": age,
        }

    def _eta(self) -> float | None:
        if self.total_steps is None or self.last_step is None or not self.steps_per_second:
            return None
        return max(0, self.total_steps - self.last_step - 1) / self.steps_per_second


def describe(run: Run) -> Described:
    """Read a run; costs little more than its facts.

    Raises:
        OSError: If the run was deleted.
        StoreError: If it cannot be read.
    """
    summary = summarize(run)
    config = itertools.islice(summary.config.items(), _MAX_CONFIG_KEYS)
    finished, last_logged = summary.finished, summary.last_logged
    fields = {
        "created": iso_time(summary.created, "microseconds"),
        "finished": None if finished is None else iso_time(finished, "microseconds"),
        "series": len(summary.series),
        "points": summary.num_points,
        "nonfinite_series": len(summary.nonfinite),
        "tags": _bounded_list(summary.tags),
        "config": {_bounded(key): _scalar(value) for key, value in config},
        "dropped": summary.dropped,
        "attempts": [_attempt_json(attempt) for attempt in summary.attempts[-_MAX_ITEMS:]],
        "command_line": _bounded_list(summary.command_line),
        "git": _bounded_map(summary.git),
        "host": None if summary.host is None else _bounded(summary.host),
        "versions": _bounded_map(summary.versions),
    }
    return Described(
        fields=fields,
        last_step=summary.last_step,
        last_logged=None if last_logged is None else epoch_micros(last_logged) / 1e6,
        steps_per_second=summary.steps_per_second,
        total_steps=summary.total_steps,
    )


def _attempt_json(attempt: Attempt) -> dict[str, Any]:
    return {
        "started": None if attempt.started is None else iso_time(attempt.started),
        "finished": None if attempt.finished is None else iso_time(attempt.finished),
        "status": _bounded(attempt.status),
        "host": None if attempt.host is None else _bounded(attempt.host),
    }


def _scalar(value: Any) -> Any:
    """A number, boolean or None as it is; anything else as text."""
    if value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) < 1 << 53):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return _bounded(value if isinstance(value, str) else json.dumps(value))


def _bounded(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}…"


def _bounded_list(texts: list[str]) -> list[str]:
    return [_bounded(text) for text in texts[:_MAX_ITEMS]]


def _bounded_map(texts: Mapping[str, str]) -> dict[str, str] | None:
    """The first entries; None if there are none."""
    items = itertools.islice(texts.items(), _MAX_ITEMS)
    return {_bounded(key): _bounded(text) for key, text in items} or None
