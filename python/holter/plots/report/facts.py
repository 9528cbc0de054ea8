"""What a report says of a run besides its charts: how far it came, how it went, how it was made."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from holter import analysis
from holter.analysis.naming import LOSS, PERPLEXITY, meaning, names_for_metric
from holter.plots.build.marks import MARK_PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holter import Run, SeriesFacts

_MOST_CONFIG_KEYS = 500
_MOST_CHARACTERS = 2000


@dataclass(frozen=True, slots=True, eq=False)
class RunFacts:
    """A run, summed up.

    Attributes:
        label: Its name in this report.
        run: The run.
        manifest: Its `run.json`.
        status: Its status when it was read.
        series: Its series but for marks.
        seconds: From its beginning to its last point.
    """

    label: str
    run: Run
    manifest: Mapping[str, Any]
    status: str
    series: Sequence[SeriesFacts]
    seconds: float

    @property
    def num_points(self) -> int:
        """How many points all series have."""
        return sum(facts.count for facts in self.series)

    @property
    def last_step(self) -> int | None:
        """The largest step; None if there is no point."""
        return max((facts.last_step for facts in self.series), default=None)

    @property
    def nonfinite(self) -> list[SeriesFacts]:
        """The series with NaN or infinite values."""
        return [facts for facts in self.series if facts.nonfinite_count]

    @property
    def num_dropped(self) -> int:
        """How many points were not accepted, as far as the run could note it."""
        return int(self.manifest.get("dropped") or 0)

    @property
    def attempts(self) -> list[Mapping[str, Any]]:
        """The attempts as the manifest lists them."""
        return [attempt for attempt in self.manifest.get("attempts") or [] if isinstance(attempt, dict)]


def facts_of(run: Run, label: str) -> RunFacts:
    """Read what there is to say of a run."""
    series = [facts for facts in run.facts() if not facts.name.startswith(MARK_PREFIX)]
    series.sort(key=lambda facts: analysis.natural_key(facts.name))
    seconds = 0.0
    if series:
        latest = max(series, key=lambda facts: facts.last_step)
        last = run.buckets([latest.name], max_buckets=1, start=latest.last_step)
        if last and len(last[0].timestamps):
            begun = np.datetime64(run.created.replace(tzinfo=None), "us")
            seconds = max(0.0, float((last[0].timestamps[-1] - begun).astype(np.int64)) / 1e6)
    return RunFacts(label, run, run.manifest, run.status, series, seconds)


def tiles_of(facts: RunFacts) -> list[tuple[str, str, str]]:
    """Return the numbers that stand on top of a report: label, value, and a remark."""
    last_step = facts.last_step
    speed = last_step / facts.seconds if last_step and facts.seconds > 0 else None
    tiles = [
        ("status", facts.status, _plural(len(facts.attempts), "attempt")),
        (
            "last step",
            "–" if last_step is None else f"{last_step:,}",
            "" if speed is None else f"{speed:,.0f} steps/s" if speed >= 100 else f"{speed:.3g} steps/s",
        ),
        ("recorded for", duration(facts.seconds), f"begun {facts.run.created:%Y-%m-%d %H:%M} UTC"),
        ("points", f"{facts.num_points:,}", f"{_plural(len(facts.series), 'series')}"),
    ]
    tiles += _best(facts)
    bad = sum(one.nonfinite_count for one in facts.nonfinite)
    tiles.append(("NaN or infinite", f"{bad:,}", f"in {_plural(len(facts.nonfinite), 'series')}" if bad else "none"))
    tiles.append(("dropped", f"{facts.num_dropped:,}", "points were not recorded" if facts.num_dropped else "none"))
    return tiles


def _best(facts: RunFacts) -> list[tuple[str, str, str]]:
    """The latest training loss, and the best validation."""
    names = [one.name for one in facts.series]
    tiles = []
    losses = [name for name in names_for_metric(names, LOSS) if meaning(name).split in {"train", ""}]
    last = {one.name: one for one in facts.series}
    if losses:
        tiles.append(("latest loss", f"{last[losses[0]].last_value:.4g}", losses[0]))
    held_out = [name for name in names_for_metric(names, PERPLEXITY) if meaning(name).split in {"val", "test"}]
    held_out = held_out or [name for name in names_for_metric(names, LOSS) if meaning(name).split in {"val", "test"}]
    if held_out:
        buckets = facts.run.buckets(held_out[:1], max_buckets=10_000)[0]
        if np.isfinite(buckets.minima).any():
            at = int(np.nanargmin(buckets.minima))
            step = (
                f"step {int(buckets.last_steps[at]):,}"
                if buckets.width == 1
                else f"near step {int(buckets.steps[at]):,}"
            )
            tiles.append((f"best {held_out[0]}", f"{buckets.minima[at]:.4g}", step))
    return tiles


def origin_of(facts: RunFacts) -> list[tuple[str, str]]:
    """Return how a run was made: names and values."""
    manifest = facts.manifest
    git = manifest.get("git") if isinstance(manifest.get("git"), dict) else {}
    command = manifest.get("command_line")
    rows = [
        ("path", str(facts.run.path)),
        ("id", str(manifest.get("id", ""))),
        ("tags", ", ".join(map(str, manifest.get("tags") or ()))),
        ("command line", shlex.join(map(str, command)) if isinstance(command, list) else ""),
        ("commit", " ".join(str(git[key]) for key in ("commit", "branch") if git.get(key)) if git else ""),
        ("host", str(manifest.get("host") or "")),
        ("versions", _listed(manifest.get("versions"))),
        ("created", str(manifest.get("created") or "")),
        ("finished", str(manifest.get("finished") or "")),
        ("attempts", "; ".join(f"{one.get('started', '?')}: {one.get('status', '?')}" for one in facts.attempts)),
    ]
    return [(name, value[:_MOST_CHARACTERS]) for name, value in rows if value]


def flat_config(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return a configuration as `a.b` and its value, at most so many."""
    rows: list[tuple[str, str]] = []
    pending: list[tuple[str, Any]] = [(str(key), value) for key, value in reversed(list(config.items()))]
    while pending and len(rows) < _MOST_CONFIG_KEYS:
        name, value = pending.pop()
        if isinstance(value, dict) and value:
            pending += [(f"{name}.{key}", inner) for key, inner in reversed(list(value.items()))]
        else:
            rows.append((name, str(value)[:_MOST_CHARACTERS]))
    return rows


def duration(seconds: float) -> str:
    """Return a length of time as people say it."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if hours < 48 else f"{hours // 24:,} d {hours % 24} h"


def _plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 or noun == "series" else f"{number:,} {noun}s"


def _listed(values: object) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items()) if isinstance(values, dict) else ""
