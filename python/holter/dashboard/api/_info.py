"""What the list of runs says of one run: its manifest, its series in numbers, its speed.

A manifest is a file that anybody may have written: every value is checked for its type and cut to a length.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from holter import Run, SeriesFacts

__all__ = ["Described", "describe", "flattened"]

_MAX_CONFIG_KEYS: Final = 1000
_MAX_TEXT: Final = 2000
_MAX_ITEMS: Final = 200
_MAX_DEPTH: Final = 8
_SPEED_POINTS: Final = 200
_TOTAL_STEPS: Final = frozenset(
    {
        "max_iters",
        "max_steps",
        "max_train_steps",
        "n_steps",
        "num_steps",
        "num_train_steps",
        "num_training_steps",
        "steps",
        "total_steps",
        "train_steps",
        "training_steps",
    }
)


@dataclass(frozen=True, slots=True)
class Described:
    """A run as it was at one moment.

    Attributes:
        fields: What goes to the client as it is.
        last_step: The largest step of all series; None if there is no point.
        last_logged: When a point of the last step was logged, in seconds since the Unix epoch; None likewise.
        steps_per_second: From the latest points; None where they do not tell.
        total_steps: How many steps the configuration says that there will be; None if it does not.
    """

    fields: Mapping[str, Any]
    last_step: int | None
    last_logged: float | None
    steps_per_second: float | None
    total_steps: int | None

    def at(self, now: float, *, is_live: bool) -> dict[str, Any]:
        """Return all fields for the client, with those that depend on the time.

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
    """Read what there is to say of a run; costs about as much as its facts.

    Raises:
        OSError: If the run is not there any more.
        StoreError: If it cannot be read.
    """
    manifest = run.manifest
    facts = run.facts()
    config = flattened(manifest.get("config"))
    attempts = [attempt for attempt in _list(manifest.get("attempts")) if isinstance(attempt, dict)]
    last_logged, speed = _pace(run, facts, attempts)
    fields = {
        "created": _text(manifest.get("created")),
        "finished": _text(manifest.get("finished")),
        "series": len(facts),
        "points": sum(series.count for series in facts),
        "nonfinite_series": sum(series.nonfinite_count > 0 for series in facts),
        "tags": [str(_text(tag)) for tag in _list(manifest.get("tags"))],
        "config": config,
        "dropped": _count(manifest.get("dropped")),
        "attempts": [_attempt(attempt) for attempt in attempts[-_MAX_ITEMS:]],
        "command_line": [str(_text(word)) for word in _list(manifest.get("command_line"))],
        "git": _bounded(manifest.get("git")),
        "host": _text(manifest.get("host")),
        "versions": _bounded(manifest.get("versions")),
    }
    last_step = max((series.last_step for series in facts), default=None)
    return Described(fields, last_step, last_logged, speed, _total_steps(config))


def flattened(config: Any) -> dict[str, Any]:
    """Return nested settings as `{"optimizer.lr": 0.1}`; what is neither a scalar nor an object becomes JSON text."""
    if not isinstance(config, dict):
        return {}
    pairs = _leaves(config, "", 0)
    return {key: value for (key, value), _ in zip(pairs, range(_MAX_CONFIG_KEYS), strict=False)}


def _leaves(config: Mapping[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        name = f"{prefix}{key}"[:_MAX_TEXT]
        if isinstance(value, dict) and value and depth < _MAX_DEPTH:
            yield from _leaves(value, f"{name}.", depth + 1)
        else:
            yield name, _scalar(value)


def _pace(run: Run, facts: list[SeriesFacts], attempts: list[dict[str, Any]]) -> tuple[float | None, float | None]:
    """When the newest point was logged, and how many steps a second its series has made since the last restart."""
    if not facts:
        return None, None
    newest = max(facts, key=lambda series: (series.last_step, series.count))
    stride = (newest.last_step - newest.first_step) // max(1, newest.count - 1)
    # Python's integers: the difference of two steps may be beyond 64 bits.
    latest = run.series(newest.name, newest.last_step - _SPEED_POINTS * max(1, stride))
    if not len(latest):
        return None, None
    micros = latest.timestamps.astype("int64")
    restart = _micros(attempts[-1].get("started")) if attempts else None
    first = 0 if restart is None else int((micros < restart).sum())
    last_logged = float(micros[-1]) / 1e6
    if first >= len(latest) - 1:
        return last_logged, None
    secs = float(micros[-1] - micros[first]) / 1e6
    steps = int(latest.steps[-1]) - int(latest.steps[first])
    return last_logged, steps / secs if secs > 0 else None


def _micros(time: Any) -> int | None:
    import datetime as dt

    try:
        moment = dt.datetime.fromisoformat(str(time).replace("Z", "+00:00"))
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.timezone.utc)
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)) // dt.timedelta(microseconds=1)


def _total_steps(config: Mapping[str, Any]) -> int | None:
    for key, value in config.items():
        is_total = key.rpartition(".")[2].lower() in _TOTAL_STEPS
        if is_total and isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 53:
            return value
    return None


def _attempt(attempt: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _text(attempt.get(key)) for key in ("started", "finished", "status", "host")}


def _list(value: Any) -> list[Any]:
    return value[:_MAX_ITEMS] if isinstance(value, list) else []


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63 else 0


def _text(value: Any) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}…"


def _scalar(value: Any) -> Any:
    """A number, boolean or None as it is; anything else as text."""
    if value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) < 1 << 53):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return _text(value)


def _bounded(value: Any, depth: int = 0) -> Any:
    """A JSON value cut to a size that a page can show."""
    if isinstance(value, dict) and depth < _MAX_DEPTH:
        items = list(value.items())[:_MAX_ITEMS]
        return {str(key)[:_MAX_TEXT]: _bounded(inner, depth + 1) for key, inner in items}
    if isinstance(value, list) and depth < _MAX_DEPTH:
        return [_bounded(inner, depth + 1) for inner in value[:_MAX_ITEMS]]
    return _scalar(value)
