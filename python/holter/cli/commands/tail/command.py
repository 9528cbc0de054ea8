"""`holter tail`: a run while it is recorded, as a live table, as lines in a pipe, or as JSON lines."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from holter.cli.commands.tail.following import Display, display_for
from holter.cli.commands.tail.watching import Look, Watch, ended_text, first_nonfinite
from holter.cli.output import echo_error
from holter.cli.problems import FAILED
from holter.cli.runs import RUN, open_run
from holter.cli.text import value_text

if TYPE_CHECKING:
    import holter

__all__ = ["tail"]

NUM_NAMED = 5


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
    help="How often to look.",
)
@click.option(
    "--fail-on-nan", is_flag=True, help="End with status 1 as soon as a watched series has a NaN or an infinity."
)
@click.option("--once", is_flag=True, help="Look once and end.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object a line, for each look that saw something new."
)
def tail(
    run_text: str, patterns: tuple[str, ...], every_secs: float, *, fail_on_nan: bool, once: bool, as_json: bool
) -> None:
    """Follow a run while it is recorded, until it ends.

    On a terminal this is a table that stays in place, with a sparkline over all steps of each series. In a pipe it is
    a line for each series that has a new point: time, step, value, name. A point is seen within a second of its log.

    A PATTERN chooses series as a shell's does, but * also matches /; quote it. Without one, the loss and a few others
    are shown, and --fail-on-nan watches all. A NaN from before the start counts as well.

    The exit status is 0 when the run finished, 1 when it failed or crashed, or when --fail-on-nan found something.

    \b
    Examples:
      holter tail run-2
      holter tail run-2 'grad_norm/blocks.0.*' '*loss*'
      holter tail run-2 --fail-on-nan > watch.log || notify-send 'run-2 needs a look'
      holter tail run-2 --once --json
    """
    run = open_run(run_text)
    watch = Watch(run, patterns)
    with display_for(run, as_json=as_json) as display:
        look = _follow(watch, display, every_secs, fail_on_nan=fail_on_nan, once=once)
    if fail_on_nan and look.nonfinite:
        echo_error("\n".join(_alarm(run, look)))
        raise click.exceptions.Exit(FAILED)
    if once:
        return
    echo_error(ended_text(run, look))
    if look.status in ("failed", "crashed"):
        raise click.exceptions.Exit(FAILED)


def _follow(watch: Watch, display: Display, every_secs: float, *, fail_on_nan: bool, once: bool) -> Look:
    while True:
        look = watch.look()
        display.update(look)
        if once or not look.is_live or (fail_on_nan and look.nonfinite):
            return look
        time.sleep(every_secs)


def _alarm(run: holter.Run, look: Look) -> list[str]:
    lines = []
    for series in look.nonfinite[:NUM_NAMED]:
        found = first_nonfinite(run, series.name)
        at = f": {value_text(found[1])} at step {found[0]}" if found else ""
        lines.append(f"{series.name} is not finite{at} ({series.nonfinite_count} of {series.count} points)")
    if len(look.nonfinite) > NUM_NAMED:
        lines.append(f"and {len(look.nonfinite) - NUM_NAMED} more series")
    return lines
