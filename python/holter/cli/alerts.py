"""What commands tell of a run's alerts: the same words and the same JSON in each."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from holter.cli.text import shortened, time_text, visible
from holter.exceptions import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import holter
    from holter.alerts import Alert

__all__ = ["alert_style", "alert_text", "alerts_json", "alerts_summary", "read_alerts"]

NAME_LIMIT = 60


def read_alerts(run: holter.Run) -> tuple[list[Alert] | None, str]:
    """The alerts of a run; None and why, where they cannot be read, which is no reason not to show the rest."""
    try:
        return run.events, ""
    except StoreError as error:
        return None, str(error)


def alerts_json(alerts: Sequence[Alert] | None) -> list[dict[str, Any]] | None:
    """What every command says of alerts to a script; null where they cannot be read."""
    return None if alerts is None else [{**asdict(alert), "time": time_text(alert.time)} for alert in alerts]


def alert_text(alert: Alert) -> str:
    """An alert in one line, but for its time."""
    where = "" if alert.series is None else f"{shortened(visible(alert.series), NAME_LIMIT)} at step {alert.step}: "
    rank = f"rank {alert.rank}, " if alert.rank else ""
    stop = "; asks to stop" if alert.stop else ""
    return f"{rank}{where}{visible(alert.message)}{stop}"


def alert_style(alert: Alert) -> str:
    """How a terminal shows it."""
    return {"error": "red", "warning": "yellow"}.get(alert.level, "")


def alerts_summary(alerts: Sequence[Alert]) -> str:
    """How many alerts there are: `3 (1 error, 2 warning)`."""
    levels = [alert.level for alert in alerts]
    found = ", ".join(f"{levels.count(level)} {level}" for level in ("error", "warning", "info") if level in levels)
    return f"{len(alerts):,} ({found})"
