"""`holter show`: one run: what it is, whether its recording is in order, and each of its series in a line."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import click

from holter.cli.alerts import alert_style, alert_text, alerts_json, alerts_summary, read_alerts
from holter.cli.facts import RunFacts, loss_series, parsed_time, read_facts, run_json, series_json
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
    facts = read_facts(open_run(run_text))
    chosen = chosen_series(facts.run, patterns) if patterns else in_order(facts.series)
    if as_json:
        echo_json(_document(facts, chosen))
        return
    for key, value, style in [*_facts(facts), *_config(facts), *_health(facts), *_alerts(facts.run)]:
        _echo_fact(key, value, style)
    if limit is None:
        limit = SERIES_ON_A_TERMINAL if is_terminal() and not show_all else len(chosen)
    if chosen and limit:
        echo()
        echo_table(*_table(facts.run, chosen[:limit]))
    if len(chosen) > limit:
        echo(f"… and {count_text(len(chosen) - limit)} more series; --all lists them, a PATTERN chooses among them")


def _document(facts: RunFacts, chosen: list[holter.SeriesFacts]) -> dict[str, Any]:
    manifest = facts.manifest
    return {
        **run_json(facts, facts.run.name, loss_series(facts.series)),
        "host": manifest.get("host"),
        "pid": manifest.get("pid"),
        "command_line": manifest.get("command_line"),
        "git": manifest.get("git"),
        "versions": manifest.get("versions"),
        "sinks": manifest.get("sinks"),
        "attempts": facts.attempts,
        "rank": facts.run.rank,
        "ranks": facts.run.ranks,
        "nonfinite_series": [series.name for series in facts.nonfinite],
        "alerts": alerts_json(read_alerts(facts.run)[0]),
        "series": [series_json(series) for series in chosen],
    }


def _facts(facts: RunFacts) -> list[tuple[str, str, str]]:
    now = dt.datetime.now(dt.timezone.utc)
    last = facts.finished or facts.last_point
    lines = [
        ("run", facts.run.name, "bold"),
        ("path", str(facts.run.path), ""),
        ("id", _inline(facts.manifest.get("id")), ""),
        ("status", facts.status, {"running": "green", "failed": "red", "crashed": "red"}.get(facts.status, "")),
        ("created", _moment(facts.created, now), ""),
        ("finished", _moment(facts.finished, now) if facts.finished else "", ""),
        ("last point", _moment(facts.last_point, now) if facts.last_point else "", ""),
        ("lasted", duration_text((last - facts.created).total_seconds()) if last else "", ""),
        ("steps", f"{facts.first_step} to {facts.last_step}" if facts.series else "", ""),
        ("points", f"{count_text(facts.num_points)} of {count_text(len(facts.series))} series", ""),
        ("tags", ", ".join(facts.tags), ""),
        ("host", f"{_inline(facts.manifest.get('host'))}, pid {_inline(facts.manifest.get('pid'))}", ""),
        ("command", _command(facts.manifest.get("command_line")), ""),
        ("git", _mapping(facts.manifest.get("git")), ""),
        ("versions", _mapping(facts.manifest.get("versions")), ""),
        ("ranks", ", ".join(map(str, facts.run.ranks)) if len(facts.run.ranks) > 1 else "", ""),
    ]
    return [line for line in lines if line[1]]


def _config(facts: RunFacts) -> list[tuple[str, str, str]]:
    return [("config", f"{key} = {_inline(value)}", "") for key, value in facts.config.items()]


def _health(facts: RunFacts) -> list[tuple[str, str, str]]:
    """What may be wrong. A line is there also where nothing is: it was looked at."""
    lines = [
        ("dropped", f"{count_text(facts.dropped)} points", "red" if facts.dropped else ""),
        ("non-finite", _nonfinite(facts), "red" if facts.nonfinite else ""),
    ]
    if len(facts.attempts) > 1:
        ends = ", ".join(_attempt(attempt) for attempt in facts.attempts)
        lines.append(("attempts", f"{len(facts.attempts)}: {ends}", ""))
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


def _nonfinite(facts: RunFacts) -> str:
    if not facts.nonfinite:
        return "none"
    named = [f"{series.name} ({count_text(series.nonfinite_count)})" for series in facts.nonfinite[:NAMES_IN_A_LINE]]
    more = f", and {len(facts.nonfinite) - NAMES_IN_A_LINE} more" if len(facts.nonfinite) > NAMES_IN_A_LINE else ""
    return f"{len(facts.nonfinite)} series: {', '.join(named)}{more}"


def _attempt(attempt: dict[str, Any]) -> str:
    started = parsed_time(attempt.get("started"))
    return f"{_inline(attempt.get('status'))} (from {time_text(started) if started else '?'})"


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


def _command(command_line: object) -> str:
    import shlex

    return shlex.join(map(str, command_line)) if isinstance(command_line, list) else ""


def _mapping(facts: object) -> str:
    if not isinstance(facts, dict):
        return ""
    return ", ".join(f"{key} {_inline(value)}" for key, value in facts.items())


def _inline(value: object) -> str:
    """A value of the manifest, whatever it is, in one line."""
    return value if isinstance(value, str) else json.dumps(value)
