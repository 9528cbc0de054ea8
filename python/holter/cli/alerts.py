"""Alerts of a run as text and as JSON, the same in every command."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from holter._text import iso_time, shortened, visible
from holter.exceptions import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import holter
    from holter.alerts import Alert

__all__ = ["alert_style", "alert_text", "alerts_json", "alerts_summary", "read_alerts"]

NAME_LIMIT = 60


def read_alerts(run: holter.Run) -> tuple[list[Alert] | None, str]:
    """Return the alerts of a run, or None and the reason if they cannot be read: the rest of the run still can."""
    try:
        return run.events, ""
    except StoreError as error:
        return None, str(error)


def alerts_json(alerts: Sequence[Alert] | None) -> list[dict[str, Any]] | None:
    """Return the JSON of alerts; None if they cannot be read."""
    return None if alerts is None else [{**asdict(alert), "time": iso_time(alert.time)} for alert in alerts]


def alert_text(alert: Alert) -> str:
    """Return an alert as one line, without its time."""
    where = "" if alert.series is None else f"{shortened(visible(alert.series), NAME_LIMIT)} at step {alert.step}: "
    rank = f"rank {alert.rank}, " if alert.rank else ""
    stop = "; requests a stop" if alert.stop else ""
    return f"{rank}{where}{visible(alert.message)}{stop}"


def alert_style(alert: Alert) -> str:
    """Return the style of an alert on a terminal."""
    return {"error": "red", "warning": "yellow"}.get(alert.level, "")


def alerts_summary(alerts: Sequence[Alert]) -> str:
    """Return the number of alerts: `3 (1 error, 2 warning)`."""
    levels = [alert.level for alert in alerts]
    counts = ", ".join(f"{levels.count(level)} {level}" for level in ("error", "warning", "info") if level in levels)
    return f"{len(alerts):,} ({counts})"
