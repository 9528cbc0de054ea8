"""`holter tail`: follow a run in a live table, as lines in a pipe, or as JSON Lines."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from holter._text import counted
from holter.cli.commands.tail.display import Display, display_for
from holter.cli.commands.tail.watching import Update, Watcher, end_text, first_nonfinite
from holter.cli.output import echo_error
from holter.cli.problems import FAILED
from holter.cli.runs import RUN, open_run
from holter.cli.text import value_text

if TYPE_CHECKING:
    import holter

__all__ = ["tail"]

MAX_LISTED = 5


@click.command()
@click.argument("run_text", metavar="RUN", type=RUN)
@click.argument("patterns", nargs=-1, metavar="[PATTERN]...")
@click.option(
    "--every",
    "every_secs",
    type=click.FloatRange(min=0.05),
    default=1.0,
    show_default=True,
    metavar="SECS",
    help="Seconds between updates.",
)
@click.option(
    "--fail-on-nan",
    is_flag=True,
    help="Exit with status 1 as soon as a watched series has a NaN or infinite value.",
)
@click.option("--once", is_flag=True, help="Print the current state and exit.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line for each update with changes.")
def tail(
    run_text: str, patterns: tuple[str, ...], every_secs: float, *, fail_on_nan: bool, once: bool, as_json: bool
) -> None:
    """Follow a run while it trains, until it ends.

    Use it to watch a training, or to be notified when it diverges or ends. On a terminal it is a table that updates in
    place, with a sparkline over all steps of each series. In a pipe it prints a line for each series with new points:
    time, step, value, name. Points appear within a second.

    PATTERN selects series like a shell pattern, except that * also matches /. Quote it. Without a PATTERN, the loss
    and a few other metrics are shown, and --fail-on-nan watches all series, including their earlier points.

    The exit status is 0 if the run finished, and 1 if it ended otherwise, or if --fail-on-nan found a value.

    \b
    Examples:
      holter tail run-2
      holter tail run-2 'grad_norm/blocks.0.*' '*loss*'
      holter tail run-2 --fail-on-nan > watch.log || notify-send 'check run-2'
      holter tail run-2 --once --json
    """
    run = open_run(run_text)
    watcher = Watcher(run, patterns)
    with display_for(run, as_json=as_json) as display:
        update = _follow(watcher, display, every_secs, fail_on_nan=fail_on_nan, once=once)
    if fail_on_nan and update.nonfinite:
        echo_error("\n".join(_nonfinite_lines(run, update)))
        raise click.exceptions.Exit(FAILED)
    if once:
        return
    echo_error(end_text(run, update))
    if update.status != "finished":
        raise click.exceptions.Exit(FAILED)


def _follow(watcher: Watcher, display: Display, every_secs: float, *, fail_on_nan: bool, once: bool) -> Update:
    while True:
        update = watcher.read()
        display.show(update)
        if once or not update.is_live or (fail_on_nan and update.nonfinite):
            return update
        time.sleep(every_secs)


def _nonfinite_lines(run: holter.Run, update: Update) -> list[str]:
    lines = []
    for series in update.nonfinite[:MAX_LISTED]:
        found = first_nonfinite(run, series.name)
        at = f": {value_text(found[1])} at step {found[0]}" if found else ""
        lines.append(f"{series.name} is not finite{at} ({series.nonfinite_count} of {counted(series.count, 'point')})")
    if len(update.nonfinite) > MAX_LISTED:
        lines.append(f"and {len(update.nonfinite) - MAX_LISTED} more series")
    return lines
