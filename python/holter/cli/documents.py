"""The JSON of a run and of a series, the same in every command; docs/command-line.md documents each key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holter._text import iso_time

if TYPE_CHECKING:
    import datetime as dt

    import holter
    from holter._summary import RunSummary

__all__ = ["run_json", "series_json", "time_json"]


def run_json(summary: RunSummary, name: str, metric: holter.SeriesFacts | None) -> dict[str, Any]:
    """Return the JSON of a run in `ls` and `show`."""
    return {
        "name": name,
        "path": str(summary.run.path),
        "id": summary.id,
        "status": summary.status,
        "is_live": summary.is_live,
        "created": iso_time(summary.created),
        "finished": time_json(summary.finished),
        "last_point": time_json(summary.last_logged),
        "first_step": summary.first_step,
        "last_step": summary.last_step,
        "num_series": len(summary.series),
        "num_nonfinite_series": len(summary.nonfinite),
        "num_points": summary.num_points,
        "dropped": summary.dropped,
        "num_attempts": len(summary.attempts),
        "tags": summary.tags,
        "group": summary.group,
        "notes": summary.notes,
        "config": summary.config,
        "metric": series_json(metric) if metric else None,
    }


def series_json(series: holter.SeriesFacts) -> dict[str, Any]:
    """Return the JSON of a series."""
    return {
        "name": series.name,
        "count": series.count,
        "nonfinite_count": series.nonfinite_count,
        "first_step": series.first_step,
        "last_step": series.last_step,
        "last_value": series.last_value,
    }


def time_json(time: dt.datetime | None) -> str | None:
    """Return a time as ISO 8601 in UTC; None if there is none."""
    return None if time is None else iso_time(time)
