"""Reads a run repeatedly: the watched series, what changed since the last update, and whether the run has ended."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holter._summary import loss_name
from holter._text import parse_iso_time
from holter.cli.alerts import read_alerts
from holter.cli.problems import Problem, error_text
from holter.exceptions import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import holter
    from holter.alerts import Alert

__all__ = ["Update", "Watcher", "end_text", "first_nonfinite"]

MAX_HEADLINES = 8
MAX_EARLIER_ALERTS = 5


@dataclass(frozen=True)
class Update:
    """A run at one moment.

    Attributes:
        time: When the run was read, in UTC.
        status: As `Run.status`.
        is_live: Whether it was being recorded just before its series were read. If not, they are complete.
        last_step: The largest step of any series; None without points.
        shown: The watched series to display.
        changed: Those of them with other points than at the last update.
        nonfinite: All watched series with NaN or infinite values.
        alerts: The alerts since the last update; at the first update the last few.
        steps_per_second: Since the last update; None if unknown.
    """

    time: dt.datetime
    status: str
    is_live: bool
    last_step: int | None
    shown: list[holter.SeriesFacts]
    changed: list[holter.SeriesFacts]
    nonfinite: list[holter.SeriesFacts]
    alerts: list[Alert]
    steps_per_second: float | None


class Watcher:
    """Watches the series that match any pattern; without patterns it watches all and shows the headlines."""

    def __init__(self, run: holter.Run, patterns: Sequence[str]) -> None:
        self._run = run
        self._patterns = patterns
        self._displayed: dict[str, holter.SeriesFacts] = {}
        self._last: Update | None = None
        self._revision = ""
        self._watched: list[holter.SeriesFacts] = []
        self._events: list[Alert] = []

    def read(self) -> Update:
        """Read the current state.

        Raises:
            Problem: If the run was deleted.
            StoreError: If it cannot be read.
        """
        try:
            is_live = self._run.is_live
            num_events = len(self._events)
            watched = self._read_series()
            status = self._run.status
        except (OSError, StoreError) as error:
            if self._run.path.is_dir():
                raise
            raise Problem(f"{self._run.path} was deleted or moved", error_text(error)) from None
        shown = watched if self._patterns else _headlines(watched)
        changed = [series for series in shown if repr(series) != repr(self._displayed.get(series.name))]
        self._displayed.update({series.name: series for series in changed})
        first_alert = num_events if self._last else max(len(self._events) - MAX_EARLIER_ALERTS, 0)
        now = dt.datetime.now(dt.timezone.utc)
        last_step = max((series.last_step for series in watched), default=None)
        self._last = Update(
            time=now,
            status=status,
            is_live=is_live,
            last_step=last_step,
            shown=shown,
            changed=changed,
            nonfinite=[series for series in watched if series.nonfinite_count],
            alerts=self._events[first_alert:],
            steps_per_second=_speed(self._last, now, last_step),
        )
        return self._last

    def _read_series(self) -> list[holter.SeriesFacts]:
        """The watched series, read again only if the revision changed."""
        revision = self._run.revision
        if revision != self._revision:
            patterns = self._patterns or ("*",)
            found = {series.name: series for pattern in patterns for series in self._run.facts(pattern)}
            self._events = read_alerts(self._run)[0] or self._events
            self._watched, self._revision = list(found.values()), revision
        return self._watched


def first_nonfinite(run: holter.Run, name: str) -> tuple[int, float] | None:
    """Return the first step at which a series is NaN or infinite, and the value; None if it is always finite."""
    series = run.series(name)
    values = series.values.tolist()
    found = (
        (step, value) for step, value in zip(series.steps.tolist(), values, strict=True) if not math.isfinite(value)
    )
    return next(found, None)


def end_text(run: holter.Run, update: Update) -> str:
    """Return how a run ended, as one sentence."""
    finished = parse_iso_time(run.manifest.get("finished"))
    when = f", {finished:%Y-%m-%d %H:%M:%S} UTC" if finished else ""
    return f"{run.name} {update.status} at step {update.last_step}{when}"


def _headlines(series: list[holter.SeriesFacts]) -> list[holter.SeriesFacts]:
    """The loss and the other metrics that most trainings log; if there are fewer than two, the first series."""
    from holter.analysis import naming  # imports numpy

    by_name = {facts.name: facts for facts in series}
    metrics = (naming.LOSS, naming.PERPLEXITY, naming.GRADIENT_NORM, naming.LEARNING_RATE, naming.ACCURACY)
    found = (naming.find(by_name, split, names) for names in metrics for split in ("train", "val", "test"))
    headlines = dict.fromkeys(name for name in (loss_name(by_name), *found) if name is not None)
    rest = dict.fromkeys(by_name) if len(headlines) < 2 else {}
    return [by_name[name] for name in {**headlines, **rest}][:MAX_HEADLINES]


def _speed(last: Update | None, now: dt.datetime, step: int | None) -> float | None:
    if last is None or last.last_step is None or step is None:
        return None
    secs = (now - last.time).total_seconds()
    return (step - last.last_step) / secs if secs > 0 else None
