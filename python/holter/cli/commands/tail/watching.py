"""Looks at a run again and again: which series are watched, what changed since the last look, whether it has ended."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holter.cli.alerts import read_alerts
from holter.cli.facts import LOSSES, parsed_time
from holter.cli.problems import Problem, failure
from holter.exceptions import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import holter
    from holter.alerts import Alert

__all__ = ["Look", "Watch", "ended_text", "first_nonfinite"]

HEADLINES = (*LOSSES, "val/ppl", "train/ppl", "grad_norm_total", "lr", "train/lr", "learning_rate", "val/accuracy")
"""What one wants to see of a training if one does not say what."""
NUM_HEADLINES = 8
NUM_EARLIER_ALERTS = 5


@dataclass(frozen=True)
class Look:
    """A run at one moment.

    Attributes:
        time: When it was looked at, in UTC.
        status: As `Run.status`.
        is_live: Whether it was being recorded just before its series were read: if not, they are complete.
        last_step: The largest step of any series; None without points.
        shown: The watched series that are to be shown.
        changed: Those of them that have other points than at the last look.
        nonfinite: All watched series that have a NaN or an infinity.
        alerts: What the run's rules have said since the last look; at the first look the last few.
        steps_per_sec: Since the look before; None where that cannot be told.
    """

    time: dt.datetime
    status: str
    is_live: bool
    last_step: int | None
    shown: list[holter.SeriesFacts]
    changed: list[holter.SeriesFacts]
    nonfinite: list[holter.SeriesFacts]
    alerts: list[Alert]
    steps_per_sec: float | None


class Watch:
    """Watches the series of a run that match patterns; without a pattern it watches all and shows the headlines."""

    def __init__(self, run: holter.Run, patterns: Sequence[str]) -> None:
        self._run = run
        self._patterns = patterns
        self._seen: dict[str, holter.SeriesFacts] = {}
        self._last: Look | None = None
        self._revision = ""
        self._watched: list[holter.SeriesFacts] = []
        self._events: list[Alert] = []

    def look(self) -> Look:
        """Look at the run now.

        Raises:
            Problem: If it is gone.
            StoreError: If it cannot be read.
        """
        try:
            is_live = self._run.is_live
            known = len(self._events)
            watched = self._read()
            status = self._run.status
        except (OSError, StoreError) as error:
            if self._run.path.is_dir():
                raise
            cause = f"{self._run.path} is gone: it was deleted or moved while it was watched"
            raise Problem(cause, failure(error)) from None
        shown = watched if self._patterns else _headlines(watched)
        changed = [series for series in shown if repr(series) != repr(self._seen.get(series.name))]
        self._seen.update({series.name: series for series in changed})
        first_alert = known if self._last else max(len(self._events) - NUM_EARLIER_ALERTS, 0)
        now = dt.datetime.now(dt.timezone.utc)
        last_step = max((series.last_step for series in watched), default=None)
        self._last = Look(
            time=now,
            status=status,
            is_live=is_live,
            last_step=last_step,
            shown=shown,
            changed=changed,
            nonfinite=[series for series in watched if series.nonfinite_count],
            alerts=self._events[first_alert:],
            steps_per_sec=_rate(self._last, now, last_step),
        )
        return self._last

    def _read(self) -> list[holter.SeriesFacts]:
        """The watched series; read anew only when the run says that there is something new."""
        revision = self._run.revision
        if revision != self._revision:
            patterns = self._patterns or ("*",)
            found = {series.name: series for pattern in patterns for series in self._run.facts(pattern)}
            self._events = read_alerts(self._run)[0] or self._events
            self._watched, self._revision = list(found.values()), revision
        return self._watched


def first_nonfinite(run: holter.Run, name: str) -> tuple[int, float] | None:
    """The first step at which a series is NaN or infinite, and the value there; None if there is none."""
    series = run.series(name)
    values = series.values.tolist()
    found = (
        (step, value) for step, value in zip(series.steps.tolist(), values, strict=True) if not math.isfinite(value)
    )
    return next(found, None)


def _headlines(series: list[holter.SeriesFacts]) -> list[holter.SeriesFacts]:
    by_name = {one.name: one for one in series}
    usual = [by_name[name] for name in HEADLINES if name in by_name]
    rest = [one for one in series if one not in usual] if len(usual) < 2 else []
    return [*usual, *rest][:NUM_HEADLINES]


def _rate(last: Look | None, now: dt.datetime, step: int | None) -> float | None:
    if last is None or last.last_step is None or step is None:
        return None
    secs = (now - last.time).total_seconds()
    return (step - last.last_step) / secs if secs > 0 else None


def ended_text(run: holter.Run, look: Look) -> str:
    """How a run ended, in a sentence."""
    finished = parsed_time(run.manifest.get("finished"))
    when = f", {finished:%Y-%m-%d %H:%M:%S} UTC" if finished else ""
    return f"{run.name} {look.status} at step {look.last_step}{when}"
