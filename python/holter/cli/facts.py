"""What commands tell of a run: read once, checked, and the same in every command's JSON.

A manifest may have been written by anybody: what is of another type than the format says counts as absent.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holter.cli.text import time_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    import holter

__all__ = ["RunFacts", "flattened", "loss_series", "read_facts", "run_json", "series_json"]

LOSSES = ("train/loss", "train_loss", "training/loss", "loss", "loss/train", "val/loss", "val_loss", "eval/loss")
"""What a training's loss is called, the likeliest first."""


@dataclass(frozen=True)
class RunFacts:
    """What there is to know of a run without reading its points.

    Attributes:
        run: The run.
        manifest: What `run.json` holds.
        status: As `Run.status`.
        is_live: As `Run.is_live`.
        created: When the run was begun, in UTC.
        finished: When its last attempt ended; None while it goes on, or where nobody knows.
        last_point: When the newest point was logged; None if there is none.
        series: All series, in the order of their names.
    """

    run: holter.Run
    manifest: dict[str, Any]
    status: str
    is_live: bool
    created: dt.datetime
    finished: dt.datetime | None
    last_point: dt.datetime | None
    series: list[holter.SeriesFacts]

    @property
    def num_points(self) -> int:
        """Points of all series together."""
        return sum(series.count for series in self.series)

    @property
    def first_step(self) -> int | None:
        """The smallest step of any series; None without points."""
        return min((series.first_step for series in self.series), default=None)

    @property
    def last_step(self) -> int | None:
        """The largest step of any series; None without points."""
        return max((series.last_step for series in self.series), default=None)

    @property
    def nonfinite(self) -> list[holter.SeriesFacts]:
        """The series that have a point which is NaN or infinite."""
        return [series for series in self.series if series.nonfinite_count]

    @property
    def dropped(self) -> int:
        """Points that were not accepted, over all attempts that have ended."""
        dropped = self.manifest.get("dropped")
        return dropped if isinstance(dropped, int) else 0

    @property
    def tags(self) -> list[str]:
        """The tags that the run was given."""
        return [tag for tag in _list(self.manifest.get("tags")) if isinstance(tag, str)]

    @property
    def config(self) -> dict[str, Any]:
        """The configuration, one level deep: `model.layers` for what was nested."""
        config = self.manifest.get("config")
        return flattened(config) if isinstance(config, dict) else {}

    @property
    def attempts(self) -> list[dict[str, Any]]:
        """What the manifest says of each attempt."""
        return [attempt for attempt in _list(self.manifest.get("attempts")) if isinstance(attempt, dict)]


def read_facts(run: holter.Run) -> RunFacts:
    """Read what there is to know of a run.

    Raises:
        StoreError: If a file of it cannot be read or is damaged.
    """
    series = run.facts()
    manifest = run.manifest
    return RunFacts(
        run=run,
        manifest=manifest,
        status=run.status,
        is_live=run.is_live,
        created=run.created,
        finished=parsed_time(manifest.get("finished")),
        last_point=_last_point(run, series),
        series=series,
    )


def loss_series(series: Sequence[holter.SeriesFacts]) -> holter.SeriesFacts | None:
    """The series that tells best how a training fares: its loss by one of the usual names, else what has one in it."""
    by_name = {one.name: one for one in series}
    usual = next((by_name[name] for name in LOSSES if name in by_name), None)
    return usual or next((one for one in series if "loss" in one.name.lower()), None)


def run_json(facts: RunFacts, name: str, metric: holter.SeriesFacts | None) -> dict[str, Any]:
    """What `ls` and `show` say of a run to a script; docs/command-line.md tells of each key."""
    return {
        "name": name,
        "path": str(facts.run.path),
        "id": str(facts.manifest.get("id", "")),
        "status": facts.status,
        "is_live": facts.is_live,
        "created": time_text(facts.created),
        "finished": time_text(facts.finished) if facts.finished else None,
        "last_point": time_text(facts.last_point) if facts.last_point else None,
        "first_step": facts.first_step,
        "last_step": facts.last_step,
        "num_series": len(facts.series),
        "num_nonfinite_series": len(facts.nonfinite),
        "num_points": facts.num_points,
        "dropped": facts.dropped,
        "num_attempts": len(facts.attempts),
        "tags": facts.tags,
        "config": facts.config,
        "metric": series_json(metric) if metric else None,
    }


def series_json(series: holter.SeriesFacts) -> dict[str, Any]:
    """What every command says of a series to a script."""
    return {
        "name": series.name,
        "count": series.count,
        "nonfinite_count": series.nonfinite_count,
        "first_step": series.first_step,
        "last_step": series.last_step,
        "last_value": series.last_value,
    }


def flattened(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The nested settings under keys with dots; a list stays as it is."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict) and value:
            flat.update(flattened(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def parsed_time(text: object) -> dt.datetime | None:
    """A time of the manifest; None for what is none."""
    if not isinstance(text, str):
        return None
    try:
        time = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=dt.timezone.utc)


def point_time(micros: int) -> dt.datetime:
    """A point's time in UTC, from microseconds since the Unix epoch."""
    return dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc) + dt.timedelta(microseconds=micros)


def _last_point(run: holter.Run, series: Sequence[holter.SeriesFacts]) -> dt.datetime | None:
    """When the last point of the series that has come furthest was logged: one point is read for it."""
    if not series:
        return None
    furthest = max(series, key=lambda one: one.last_step)
    try:
        points = run.series(furthest.name, start=furthest.last_step)
    except KeyError:
        return None
    return point_time(int(points.timestamps[-1].astype("int64"))) if len(points) else None


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
