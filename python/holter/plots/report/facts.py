"""The facts of a report besides its charts: tiles, origin and configuration of a run, as short texts."""

from __future__ import annotations

import itertools
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from holter import analysis
from holter._summary import summarize
from holter._text import counted, duration_text, iso_time
from holter.analysis.naming import LOSS, PERPLEXITY, meaning, names_for_metric

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holter import Run, SeriesFacts
    from holter._summary import RunSummary

_MAX_CONFIG_KEYS = 500
_MAX_CHARACTERS = 2000


@dataclass(frozen=True, slots=True, eq=False)
class ReportedRun:
    """A run of the report.

    Attributes:
        label: Its name in the report.
        summary: Its summary.
        series: Its series in natural order: `layer_2` before `layer_10`.
    """

    label: str
    summary: RunSummary
    series: Sequence[SeriesFacts]


def read_reported_run(run: Run, label: str) -> ReportedRun:
    """Read the facts of a run.

    Raises:
        StoreError: If a file of it cannot be read or is damaged.
    """
    summary = summarize(run)
    return ReportedRun(label, summary, sorted(summary.series, key=lambda facts: analysis.natural_key(facts.name)))


def run_tiles(reported: ReportedRun) -> list[tuple[str, str, str]]:
    """Return the numbers on top of the report: label, value, and a remark."""
    summary = reported.summary
    num_nonfinite = sum(facts.nonfinite_count for facts in summary.nonfinite)
    duration = summary.duration_secs
    num_series = len(summary.series)
    return [
        ("status", summary.status, counted(len(summary.attempts), "attempt")),
        ("last step", "–" if summary.last_step is None else f"{summary.last_step:,}", _speed(summary.steps_per_second)),
        (
            "recorded for",
            "–" if duration is None else duration_text(duration),
            f"started {summary.created:%Y-%m-%d %H:%M} UTC",
        ),
        ("points", f"{summary.num_points:,}", f"in {counted(num_series, 'series', 'series')}"),
        *_latest_loss(summary),
        *_best_validation(summary),
        (
            "NaN or infinite",
            f"{num_nonfinite:,}",
            f"in {counted(len(summary.nonfinite), 'series', 'series')}" if num_nonfinite else "none",
        ),
        ("dropped", f"{summary.dropped:,}", "points were not recorded" if summary.dropped else "none"),
    ]


def run_origin(reported: ReportedRun) -> list[tuple[str, str]]:
    """Return where a run comes from, as names and values."""
    summary = reported.summary
    attempts = (
        f"{'?' if attempt.started is None else iso_time(attempt.started)}: {attempt.status}"
        for attempt in summary.attempts
    )
    rows = [
        ("path", str(summary.run.path)),
        ("id", summary.id),
        ("tags", ", ".join(summary.tags)),
        ("group", summary.group or ""),
        ("notes", summary.notes or ""),
        ("command line", shlex.join(summary.command_line)),
        ("commit", " ".join(summary.git[key] for key in ("commit", "branch") if key in summary.git)),
        ("host", summary.host or ""),
        ("versions", ", ".join(f"{name} {version}" for name, version in summary.versions.items())),
        ("created", iso_time(summary.created)),
        ("finished", "" if summary.finished is None else iso_time(summary.finished)),
        ("attempts", "; ".join(attempts)),
    ]
    return [(name, value[:_MAX_CHARACTERS]) for name, value in rows if value]


def run_config(reported: ReportedRun) -> list[tuple[str, str]]:
    """Return the first settings of the configuration, as names and values."""
    settings = itertools.islice(reported.summary.config.items(), _MAX_CONFIG_KEYS)
    return [(name, str(value)[:_MAX_CHARACTERS]) for name, value in settings]


def _speed(steps_per_second: float | None) -> str:
    if steps_per_second is None:
        return ""
    digits = f"{steps_per_second:,.0f}" if steps_per_second >= 100 else f"{steps_per_second:.3g}"
    return f"{digits} steps/s"


def _latest_loss(summary: RunSummary) -> list[tuple[str, str, str]]:
    loss = summary.loss
    return [] if loss is None else [("latest loss", f"{loss.last_value:.4g}", loss.name)]


def _best_validation(summary: RunSummary) -> list[tuple[str, str, str]]:
    """The smallest perplexity on held-out data, or the smallest loss if no perplexity was logged."""
    names = [facts.name for facts in summary.series]
    candidates = (names_for_metric(names, metrics) for metrics in (PERPLEXITY, LOSS))
    held_out = next((name for found in candidates for name in found if meaning(name).split in {"val", "test"}), None)
    if held_out is None:
        return []
    buckets = summary.run.buckets([held_out], max_buckets=10_000)[0]
    if not np.isfinite(buckets.minima).any():
        return []
    at = int(np.nanargmin(buckets.minima))
    is_exact = buckets.width == 1
    step = f"step {int(buckets.last_steps[at]):,}" if is_exact else f"near step {int(buckets.steps[at]):,}"
    return [(f"best {held_out}", f"{buckets.minima[at]:.4g}", step)]
