"""`holter show`: one run with its metadata, its health, and a line for each series."""

from __future__ import annotations

import datetime as dt
import json
import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from holter._summary import Attempt, RunSummary, summarize
from holter._text import counted, duration_text, iso_time, shortened, visible
from holter.cli.alerts import alert_style, alert_text, alerts_json, alerts_summary, read_alerts
from holter.cli.documents import run_json, series_json, time_json
from holter.cli.output import Cell, Column, echo, echo_json, echo_table, is_terminal, terminal_console
from holter.cli.runs import RUN, open_run
from holter.cli.series import in_natural_order, matching_series
from holter.cli.sparklines import read_sparklines
from holter.cli.text import STATUS_STYLES, age_text, count_text, value_text

if TYPE_CHECKING:
    import holter

__all__ = ["show"]

MAX_SERIES_ON_TERMINAL = 40
SPARKLINE_WIDTH = 20
MAX_NAMES = 8
MAX_ALERTS = 5
VALUE_LIMIT = 200


@click.command()
@click.argument("run_text", metavar="RUN", type=RUN)
@click.argument("patterns", nargs=-1, metavar="[PATTERN]...")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    metavar="N",
    help=f"Maximum number of series; {MAX_SERIES_ON_TERMINAL} on a terminal, else no limit.",
)
@click.option("--all", "show_all", is_flag=True, help="List all series.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def show(run_text: str, patterns: tuple[str, ...], limit: int | None, *, show_all: bool, as_json: bool) -> None:
    """Show a run's metadata, status and series.

    Use it to find out how a run was made, whether its recording is complete, and what it recorded: first the status,
    times, host, commit and configuration; then dropped points, series with NaN or infinite values, and the last
    alerts; then the last value of each series, on a terminal with a sparkline over all steps (× marks NaN and
    infinities).

    PATTERN selects series like a shell pattern, except that * also matches /. Quote it.

    \b
    Examples:
      holter show run-2
      holter show run-2 'attention_entropy/*' '*loss*'
      holter show run-2 --json | jq '.series[] | select(.nonfinite_count > 0) | .name'
    """
    summary = summarize(open_run(run_text))
    matching = matching_series(summary.run, patterns) if patterns else in_natural_order(summary.series)
    if as_json:
        echo_json(_document(summary, matching))
        return
    for key, value, style in [*_metadata(summary), *_config(summary), *_health(summary), *_alerts(summary.run)]:
        _echo_entry(key, value, style)
    if limit is None:
        limit = MAX_SERIES_ON_TERMINAL if is_terminal() and not show_all else len(matching)
    if matching and limit:
        echo()
        echo_table(*_table(summary.run, matching[:limit]))
    if len(matching) > limit:
        echo(f"… and {count_text(len(matching) - limit)} more series; pass --all to list them, or a PATTERN")


def _document(summary: RunSummary, matching: list[holter.SeriesFacts]) -> dict[str, Any]:
    return {
        **run_json(summary, summary.name, summary.loss),
        "host": summary.host,
        "pid": summary.pid,
        "command_line": summary.command_line,
        "git": summary.git or None,
        "versions": summary.versions,
        "sinks": summary.sinks,
        "attempts": [_attempt_json(attempt) for attempt in summary.attempts],
        "rank": summary.run.rank,
        "ranks": summary.run.ranks,
        "nonfinite_series": [series.name for series in summary.nonfinite],
        "alerts": alerts_json(read_alerts(summary.run)[0]),
        "series": [series_json(series) for series in matching],
    }


def _attempt_json(attempt: Attempt) -> dict[str, Any]:
    times = {"started": time_json(attempt.started), "finished": time_json(attempt.finished)}
    return {**asdict(attempt), **times, "git": attempt.git or None}


def _metadata(summary: RunSummary) -> list[tuple[str, str, str]]:
    """Key, value and style of each entry that has a value."""
    now = dt.datetime.now(dt.timezone.utc)
    ranks = summary.run.ranks
    process = "" if summary.host is None else f"{summary.host}, pid {'?' if summary.pid is None else summary.pid}"
    speed = "" if summary.steps_per_second is None else f"{value_text(summary.steps_per_second)} steps/s"
    points = f"{count_text(summary.num_points)} in {counted(len(summary.series), 'series', 'series')}"
    entries = [
        ("run", summary.name, "bold"),
        ("path", str(summary.run.path), ""),
        ("id", summary.id, ""),
        ("status", summary.status, STATUS_STYLES.get(summary.status, "")),
        ("created", _moment(summary.created, now), ""),
        ("finished", _moment(summary.finished, now), ""),
        ("last point", _moment(summary.last_logged, now), ""),
        ("duration", "" if summary.duration_secs is None else duration_text(summary.duration_secs), ""),
        ("speed", speed, ""),
        ("steps", f"{summary.first_step} to {summary.last_step}" if summary.series else "", ""),
        ("points", points, ""),
        ("tags", ", ".join(summary.tags), ""),
        ("group", summary.group or "", ""),
        ("notes", summary.notes or "", ""),
        ("host", process, ""),
        ("command", shlex.join(summary.command_line), ""),
        ("git", _pairs(summary.git), ""),
        ("versions", _pairs(summary.versions), ""),
        ("ranks", ", ".join(map(str, ranks)) if len(ranks) > 1 else "", ""),
    ]
    return [entry for entry in entries if entry[1]]


def _config(summary: RunSummary) -> list[tuple[str, str, str]]:
    return [("config", f"{key} = {_inline(value)}", "") for key, value in summary.config.items()]


def _health(summary: RunSummary) -> list[tuple[str, str, str]]:
    """Dropped points and non-finite series, also if there are none: a reader sees that they were checked."""
    lines = [
        ("dropped", counted(summary.dropped, "point"), "red" if summary.dropped else ""),
        ("non-finite", _nonfinite(summary), "red" if summary.nonfinite else ""),
    ]
    if len(summary.attempts) > 1:
        ends = ", ".join(_attempt(attempt) for attempt in summary.attempts)
        lines.append(("attempts", f"{len(summary.attempts)}: {ends}", ""))
    return lines


def _alerts(run: holter.Run) -> list[tuple[str, str, str]]:
    """The last alerts; empty if there were none, since most runs have no rules."""
    alerts, error = read_alerts(run)
    if alerts is None:
        return [("alerts", error, "red")]
    if not alerts:
        return []
    last = f", the last {MAX_ALERTS}:" if len(alerts) > MAX_ALERTS else ""
    lines = [(f"{iso_time(alert.time)} {alert_text(alert)}", alert_style(alert)) for alert in alerts[-MAX_ALERTS:]]
    return [("alerts", alerts_summary(alerts) + last, ""), *(("alert", line, style) for line, style in lines)]


def _nonfinite(summary: RunSummary) -> str:
    bad = summary.nonfinite
    if not bad:
        return "none"
    listed = [f"{series.name} ({count_text(series.nonfinite_count)})" for series in bad[:MAX_NAMES]]
    more = f", and {len(bad) - MAX_NAMES} more" if len(bad) > MAX_NAMES else ""
    return f"{counted(len(bad), 'series', 'series')}: {', '.join(listed)}{more}"


def _attempt(attempt: Attempt) -> str:
    return f"{attempt.status} (started {time_json(attempt.started) or '?'})"


def _table(run: holter.Run, matching: list[holter.SeriesFacts]) -> tuple[list[Column], list[list[Cell | str]]]:
    """All columns in a pipe; on a terminal a sparkline, and the non-finite counts only if one is not zero."""
    is_drawn = is_terminal()
    number = count_text if is_drawn else str
    with_nonfinite = not is_drawn or any(series.nonfinite_count for series in matching)
    columns = [
        Column("series", can_shrink=True),
        Column("points", is_number=True),
        *([Column("non-finite", is_number=True)] if with_nonfinite else []),
        *([] if is_drawn else [Column("first", is_number=True)]),
        Column("last", is_number=True),
        Column("value", is_number=True),
        *([Column("over all steps")] if is_drawn else []),
    ]
    drawn = read_sparklines(run, [series.name for series in matching], SPARKLINE_WIDTH) if is_drawn else {}
    nonfinite_style = {True: "red", False: "dim"}
    rows: list[list[Cell | str]] = [
        [
            series.name,
            number(series.count),
            *(
                [Cell(number(series.nonfinite_count), nonfinite_style[series.nonfinite_count > 0])]
                if with_nonfinite
                else []
            ),
            *([] if is_drawn else [number(series.first_step)]),
            number(series.last_step),
            value_text(series.last_value),
            *([Cell(drawn[series.name], "cyan")] if is_drawn else []),
        ]
        for series in matching
    ]
    return columns, rows


def _echo_entry(key: str, value: str, style: str) -> None:
    if not is_terminal():
        echo(f"{key:<11} {visible(value)}")
        return
    from rich.text import Text

    line = Text.assemble((f"{key:<11}", "dim"), " ", (shortened(visible(value), VALUE_LIMIT), style))
    terminal_console().print(line, soft_wrap=True)


def _moment(time: dt.datetime | None, now: dt.datetime) -> str:
    if time is None:
        return ""
    return f"{iso_time(time)} ({age_text(time, now)})" if is_terminal() else iso_time(time)


def _pairs(items: dict[str, str]) -> str:
    return ", ".join(f"{key} {value}" for key, value in items.items())


def _inline(value: object) -> str:
    """A setting in one line."""
    return value if isinstance(value, str) else json.dumps(value)
