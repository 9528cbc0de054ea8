"""`holter recover`: recover runs after a crash, one after the other."""

from __future__ import annotations

import json
from typing import Any

import click

import holter
from holter._text import counted, visible
from holter.cli.output import echo, echo_error
from holter.cli.problems import FAILED, error_text
from holter.cli.runs import RUN, locate, not_found

__all__ = ["recover"]


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=RUN)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each run.")
def recover(runs: tuple[str, ...], *, as_json: bool) -> None:
    """Recover runs after a crash: complete their database and Parquet files.

    Use it before you copy a crashed RUN, or read its files with other programs. Points that only the journal contains
    are moved into the database and the Parquet files, unfinished files are removed, and Parquet parts are merged.

    Holter's own commands need no recovery: they read the journal too, and resuming a run recovers it. A run that needs
    no recovery is not changed. A run that is being recorded is reported as an error.

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
            result["error"] = not_found(text).message
        except (OSError, holter.HolterError) as error:
            failed = True
            result["error"] = error_text(error)
        if as_json:
            click.echo(json.dumps(result))
        elif "error" in result:
            echo_error(f"{run}: {result['error']}")
        else:
            echo(visible(f"{run}: {_recovered(result['recovered'])}"))
    if failed:
        raise click.exceptions.Exit(FAILED)


def _recovered(points: int) -> str:
    return "nothing to recover" if points == 0 else f"{counted(points, 'point')} recovered from the journal"
