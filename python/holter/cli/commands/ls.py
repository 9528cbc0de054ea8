"""`holter ls`: the runs of a folder, one line each, then the directories that could not be read."""

from __future__ import annotations

import datetime as dt
import fnmatch
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

import holter
from holter._summary import RunSummary, summarize
from holter._text import counted, iso_time, shortened
from holter.cli.documents import run_json
from holter.cli.output import Cell, Column, echo_error, echo_json, echo_table, is_terminal
from holter.cli.problems import FAILED, error_text
from holter.cli.runs import FOLDER, Listing, default_folder, list_folder
from holter.cli.text import STATUS_STYLES, age_text, count_text, value_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["ls"]

METRIC_WIDTH = 24


@dataclass(frozen=True)
class Entry:
    """A run of the list."""

    name: str
    summary: RunSummary
    metric: holter.SeriesFacts | None


ORDERS: dict[str, Callable[[Entry], Any]] = {
    "created": lambda entry: entry.summary.created,
    "updated": lambda entry: entry.summary.last_logged or entry.summary.created,
    "name": lambda entry: entry.name,
    "status": lambda entry: entry.summary.status,
    "step": lambda entry: -math.inf if entry.summary.last_step is None else entry.summary.last_step,
    "metric": lambda entry: _sortable(entry.metric),
    "points": lambda entry: entry.summary.num_points,
}


@click.command()
@click.argument("folder", required=False, type=FOLDER, metavar="[RUNS]")
@click.option("--sort", type=click.Choice(list(ORDERS)), default="created", show_default=True, help="Sort key.")
@click.option("--reverse", is_flag=True, help="Sort in descending order: newest or largest first.")
@click.option(
    "--status",
    multiple=True,
    type=click.Choice(list(STATUS_STYLES)),
    help="List only runs with this status. Repeat for several.",
)
@click.option("--tag", multiple=True, help="List only runs with this tag. Repeat to require several.")
@click.option(
    "--name", "pattern", default="*", help="List only runs whose name matches a pattern such as 'ablation-*'."
)
@click.option(
    "--config",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="List only runs with this setting. Repeat to require several.",
)
@click.option("--metric", metavar="NAME", help="Show this metric instead of the loss.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def ls(
    folder: Path | None,
    *,
    sort: str,
    status: tuple[str, ...],
    tag: tuple[str, ...],
    pattern: str,
    settings: tuple[str, ...],
    metric: str | None,
    reverse: bool,
    as_json: bool,
) -> None:
    """List the runs of a folder and their status.

    Use it to see which runs exist, how far each got, and which need attention. RUNS is a folder of runs, ./runs by
    default; it is searched three levels deep.

    `loss` is the training loss, or else the validation loss, recognized by its name. `non-finite` counts the series
    with NaN or infinite values, `dropped` the points that could not be recorded. Runs that cannot be read are reported
    after the table, and the exit status is then 1.

    \b
    Examples:
      holter ls
      holter ls --status running --sort updated --reverse
      holter ls experiments --config optimizer.lr=0.0003 --metric val/ppl
      holter ls --json | jq '.runs[] | select(.dropped > 0) | .path'
    """
    required = [_setting(text) for text in settings]
    listing = list_folder(folder if folder is not None else default_folder())
    entries, problems = _entries(listing, metric)
    matching = [
        entry
        for entry in entries
        if (not status or entry.summary.status in status)
        and set(tag) <= set(entry.summary.tags)
        and fnmatch.fnmatchcase(entry.name, pattern)
        and all(_text(entry.summary.config.get(key)) == value for key, value in required)
    ]
    matching.sort(key=ORDERS[sort], reverse=reverse)
    if as_json:
        runs = [run_json(entry.summary, entry.name, entry.metric) for entry in matching]
        echo_json({"folder": str(listing.folder), "runs": runs, "problems": problems})
    else:
        _echo(listing.folder, entries, matching, problems, metric)
    if problems:
        raise click.exceptions.Exit(FAILED)


def _echo(
    folder: Path, entries: list[Entry], matching: list[Entry], problems: list[dict[str, str]], metric: str | None
) -> None:
    if matching:
        echo_table(*_table(matching, metric))
    elif entries:
        echo_error(f"no matching runs: {folder} contains {counted(len(entries), 'run')}")
    elif not problems:
        echo_error(f"{folder} contains no runs yet\n`holter demo` records a first run")
    for problem in problems:
        echo_error(f"{problem['path']} cannot be read: {problem['reason']}")


def _entries(listing: Listing, metric: str | None) -> tuple[list[Entry], list[dict[str, str]]]:
    """The readable runs, and path and reason of the others."""
    problems = [{"path": str(problem.path), "reason": problem.reason} for problem in listing.problems]
    entries = []
    for run in listing.runs:
        try:
            summary = summarize(run)
        except (OSError, holter.HolterError) as error:
            problems.append({"path": str(run.path), "reason": error_text(error)})
            continue
        named = next((series for series in summary.series if series.name == metric), None)
        entries.append(Entry(listing.name_of(run), summary, named if metric else summary.loss))
    return entries, problems


def _table(entries: list[Entry], metric: str | None) -> tuple[list[Column], list[list[Cell | str]]]:
    columns = [
        Column("name", can_shrink=True),
        Column("status"),
        Column("step", is_number=True),
        Column("series", is_number=True),
        Column("non-finite", is_number=True),
        Column("dropped", is_number=True),
        Column(shortened(metric, METRIC_WIDTH) if metric else "loss", is_number=True),
        Column("updated"),
    ]
    return columns, [_row(entry) for entry in entries]


def _row(entry: Entry) -> list[Cell | str]:
    summary = entry.summary
    number = count_text if is_terminal() else str
    updated = summary.last_logged or summary.created
    return [
        Cell(entry.name, "bold" if summary.is_live else ""),
        Cell(summary.status, STATUS_STYLES.get(summary.status, "")),
        "" if summary.last_step is None else number(summary.last_step),
        number(len(summary.series)),
        Cell(number(len(summary.nonfinite)), "red" if summary.nonfinite else "dim"),
        Cell(number(summary.dropped), "red" if summary.dropped else "dim"),
        "" if entry.metric is None else value_text(entry.metric.last_value),
        age_text(updated, dt.datetime.now(dt.timezone.utc)) if is_terminal() else iso_time(updated),
    ]


def _setting(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(
            f"{text!r} is not a setting; expected KEY=VALUE, such as optimizer.lr=0.0003", param_hint="--config"
        )
    return key, _text(_number(value))


def _number(text: str) -> object:
    """The number that a text states, so that 3e-4 matches 0.0003; else the text."""
    try:
        return float(text)
    except ValueError:
        return text


def _text(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return repr(float(value)) if isinstance(value, (int, float)) else str(value)


def _sortable(metric: holter.SeriesFacts | None) -> float:
    """The value to sort by; runs without the metric, or where it is NaN, come last."""
    return math.inf if metric is None or math.isnan(metric.last_value) else metric.last_value
