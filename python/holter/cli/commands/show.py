"""`holter show`: one run: what it is, whether its recording is in order, and each of its series in a line."""

from __future__ import annotations

import datetime as dt
import json
import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from holter._summary import Attempt, RunSummary, summarize
from holter.cli.alerts import alert_style, alert_text, alerts_json, alerts_summary, read_alerts
from holter.cli.documents import run_json, series_json, time_json
from holter.cli.output import Cell, Column, echo, echo_json, echo_table, is_terminal, terminal_console
from holter.cli.runs import RUN, open_run
from holter.cli.series import chosen_series, in_order
from holter.cli.sparklines import read_sparklines
from holter.cli.text import age_text, count_text, duration_text, shortened, time_text, value_text, visible

if TYPE_CHECKING:
    import holter

__all__ = ["show"]

SERIES_ON_A_TERMINAL = 40
SPARKLINE_WIDTH = 20
NAMES_IN_A_LINE = 8
NUM_ALERTS = 5
VALUE_LIMIT = 200
STATUS_STYLES = {"running": "green", "failed": "red", "crashed": "red"}


@click.command()
@click.argument("run_text", metavar="RUN", type=RUN)
@click.argument("patterns", nargs=-1, metavar="[PATTERN]...")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    metavar="N",
    help=f"Series to list; {SERIES_ON_A_TERMINAL} on a terminal, else all.",
)
@click.option("--all", "show_all", is_flag=True, help="List all series.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def show(run_text: str, patterns: tuple[str, ...], limit: int | None, *, show_all: bool, as_json: bool) -> None:
    """Show what a run is, how it fares and what it recorded.

    First the facts: status, times, where and from which commit it ran, its configuration. Then its health: points
    that were dropped, series with a NaN or an infinity, by name, and the last alerts. Then its series, with the last
    value of each and on a terminal a sparkline over all its steps, in which × marks NaN and infinities.

    A PATTERN chooses series as a shell's does, but * also matches /; quote it.

    \b
    Examples:
      holter show run-2
      holter show run-2 'attention_entropy/*' '*loss*'
      holter show run-2 --json | jq '.series[] | select(.nonfinite_count > 0) | .name'
    """
    summary = summarize(open_run(run_text))
    chosen = chosen_series(summary.run, patterns) if patterns else in_order(summary.series)
    if as_json:
        echo_json(_document(summary, chosen))
        return
    for key, value, style in [*_facts(summary), *_config(summary), *_health(summary), *_alerts(summary.run)]:
        _echo_fact(key, value, style)
    if limit is None:
        limit = SERIES_ON_A_TERMINAL if is_terminal() and not show_all else len(chosen)
    if chosen and limit:
        echo()
        echo_table(*_table(summary.run, chosen[:limit]))
    if len(chosen) > limit:
        echo(f"… and {count_text(len(chosen) - limit)} more series; --all lists them, a PATTERN chooses among them")


def _document(summary: RunSummary, chosen: list[holter.SeriesFacts]) -> dict[str, Any]:
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
        "series": [series_json(series) for series in chosen],
    }


def _attempt_json(attempt: Attempt) -> dict[str, Any]:
    times = {"started": time_json(attempt.started), "finished": time_json(attempt.finished)}
    return {**asdict(attempt), **times}


def _facts(summary: RunSummary) -> list[tuple[str, str, str]]:
    now = dt.datetime.now(dt.timezone.utc)
    ranks = summary.run.ranks
    process = "" if summary.host is None else f"{summary.host}, pid {'?' if summary.pid is None else summary.pid}"
    speed = "" if summary.steps_per_second is None else f"{value_text(summary.steps_per_second)} steps/s"
    lines = [
        ("run", summary.name, "bold"),
        ("path", str(summary.run.path), ""),
        ("id", summary.id, ""),
        ("status", summary.status, STATUS_STYLES.get(summary.status, "")),
        ("created", _moment(summary.created, now), ""),
        ("finished", _moment(summary.finished, now) if summary.finished else "", ""),
        ("last point", _moment(summary.last_logged, now) if summary.last_logged else "", ""),
        ("duration", "" if summary.duration_secs is None else duration_text(summary.duration_secs), ""),
        ("speed", speed, ""),
        ("steps", f"{summary.first_step} to {summary.last_step}" if summary.series else "", ""),
        ("points", f"{count_text(summary.num_points)} in {count_text(len(summary.series))} series", ""),
        ("tags", ", ".join(summary.tags), ""),
        ("host", process, ""),
        ("command", shlex.join(summary.command_line), ""),
        ("git", _pairs(summary.git), ""),
        ("versions", _pairs(summary.versions), ""),
        ("ranks", ", ".join(map(str, ranks)) if len(ranks) > 1 else "", ""),
    ]
    return [line for line in lines if line[1]]


def _config(summary: RunSummary) -> list[tuple[str, str, str]]:
    return [("config", f"{key} = {_inline(value)}", "") for key, value in summary.config.items()]


def _health(summary: RunSummary) -> list[tuple[str, str, str]]:
    """What may be wrong. A line is there also where nothing is: it was looked at."""
    lines = [
        ("dropped", f"{count_text(summary.dropped)} points", "red" if summary.dropped else ""),
        ("non-finite", _nonfinite(summary), "red" if summary.nonfinite else ""),
    ]
    if len(summary.attempts) > 1:
        ends = ", ".join(_attempt(attempt) for attempt in summary.attempts)
        lines.append(("attempts", f"{len(summary.attempts)}: {ends}", ""))
    return lines


def _alerts(run: holter.Run) -> list[tuple[str, str, str]]:
    """The last alerts; nothing for a run that had none, which most give no rules."""
    alerts, error = read_alerts(run)
    if alerts is None:
        return [("alerts", error, "red")]
    if not alerts:
        return []
    last = f", the last {NUM_ALERTS}:" if len(alerts) > NUM_ALERTS else ""
    lines = [(f"{time_text(alert.time)} {alert_text(alert)}", alert_style(alert)) for alert in alerts[-NUM_ALERTS:]]
    return [("alerts", alerts_summary(alerts) + last, ""), *(("alert", line, style) for line, style in lines)]


def _nonfinite(summary: RunSummary) -> str:
    if not summary.nonfinite:
        return "none"
    named = [f"{series.name} ({count_text(series.nonfinite_count)})" for series in summary.nonfinite[:NAMES_IN_A_LINE]]
    more = f", and {len(summary.nonfinite) - NAMES_IN_A_LINE} more" if len(summary.nonfinite) > NAMES_IN_A_LINE else ""
    return f"{len(summary.nonfinite)} series: {', '.join(named)}{more}"


def _attempt(attempt: Attempt) -> str:
    return f"{attempt.status or '?'} (from {time_json(attempt.started) or '?'})"


def _table(run: holter.Run, chosen: list[holter.SeriesFacts]) -> tuple[list[Column], list[list[Cell | str]]]:
    """On a terminal there is room for a sparkline, and the counts stand there only where they say something."""
    is_drawn = is_terminal()
    number = count_text if is_drawn else str
    with_nonfinite = not is_drawn or any(series.nonfinite_count for series in chosen)
    columns = [
        Column("series", folds=True),
        Column("points", is_number=True),
        *([Column("non-finite", is_number=True)] if with_nonfinite else []),
        *([] if is_drawn else [Column("first", is_number=True)]),
        Column("last", is_number=True),
        Column("value", is_number=True),
        *([Column("over all steps")] if is_drawn else []),
    ]
    drawn = read_sparklines(run, [series.name for series in chosen], SPARKLINE_WIDTH) if is_drawn else {}
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
        for series in chosen
    ]
    return columns, rows


def _echo_fact(key: str, value: str, style: str) -> None:
    if not is_terminal():
        echo(f"{key:<11} {visible(value)}")
        return
    from rich.text import Text

    line = Text.assemble((f"{key:<11}", "dim"), " ", (shortened(visible(value), VALUE_LIMIT), style))
    terminal_console().print(line, soft_wrap=True)


def _moment(time: dt.datetime, now: dt.datetime) -> str:
    return f"{time_text(time)} ({age_text(time, now)})" if is_terminal() else time_text(time)


def _pairs(items: dict[str, str]) -> str:
    return ", ".join(f"{key} {value}" for key, value in items.items())


def _inline(value: object) -> str:
    """A value of the manifest, whatever it is, in one line."""
    return value if isinstance(value, str) else json.dumps(value)
