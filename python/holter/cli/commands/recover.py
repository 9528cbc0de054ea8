"""`holter recover`: runs left by a crash, brought into order one after the other."""

from __future__ import annotations

import json
from typing import Any

import click

import holter
from holter.cli.output import echo, echo_error
from holter.cli.problems import FAILED, failure
from holter.cli.runs import RUN, locate, missing
from holter.cli.text import visible

__all__ = ["recover"]


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=RUN)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each run.")
def recover(runs: tuple[str, ...], *, as_json: bool) -> None:
    """Bring runs left by a crash into order.

    What only the journal has goes into the database and the Parquet files, half-written files go away, and parts are
    merged. Nothing was lost without this: every reader of Holter's includes the journal, and opening the run to go on
    with it recovers it as well. A run in order is left as it is; one that is being written is refused.

    \b
    Examples:
      holter recover run-2
      holter recover runs/*
    """
    failed = False
    for text in runs:
        run = locate(text)
        result: dict[str, Any] = {"run": str(run)}
        try:
            result["recovered"] = holter.recover(run)
        except FileNotFoundError:
            failed = True
            result["error"] = missing(text).message
        except (OSError, holter.HolterError) as error:
            failed = True
            result["error"] = failure(error)
        if as_json:
            click.echo(json.dumps(result))
        elif "error" in result:
            echo_error(f"{run}: {result['error']}")
        else:
            echo(visible(f"{run}: {_recovered(result['recovered'])}"))
    if failed:
        raise click.exceptions.Exit(FAILED)


def _recovered(points: int) -> str:
    return "in order" if points == 0 else f"{points:,} points recovered from the journal"
