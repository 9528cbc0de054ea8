"""The command `holter`.

Commands import what they need when they run, so that `holter --help` answers at once.
"""

from __future__ import annotations

import json
import pathlib
from typing import Any

import click

import holter

__all__ = ["main"]

_RUN = click.Path(file_okay=False, path_type=pathlib.Path)


class _Commands(click.Group):
    """The commands, of which the demo is loaded when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), "demo"])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == "demo":
            from holter.demo.__main__ import main as demo

            return demo
        return super().get_command(ctx, cmd_name)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(holter.__version__, prog_name="holter")
def main() -> None:
    """Record training runs, and look after what was recorded.

    A run is a directory of plain files; `holter demo` makes one to look at.
    """


@main.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=_RUN)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each run.")
def recover(runs: tuple[pathlib.Path, ...], *, as_json: bool) -> None:
    """Bring runs left by a crash into order.

    What only the journal has goes into the database and the Parquet files, half-written files go away, and parts are
    merged. Nothing was lost without this: every reader of Holter's includes the journal, and opening the run to go on
    with it recovers it as well. A run in order is left as it is; one that is being written is refused.

    \b
    Example:
      holter recover runs/*
    """  # noqa: D301  \b is click's sign for lines that stay as they are
    failed = False
    for run in runs:
        result: dict[str, Any] = {"run": str(run)}
        try:
            result["recovered"] = holter.recover(run)
        except (OSError, holter.HolterError) as error:
            failed = True
            result["error"] = str(error)
        if as_json:
            click.echo(json.dumps(result))
        elif "error" in result:
            click.echo(f"{run}: {result['error']}", err=True)
        else:
            click.echo(f"{run}: {_recovered(result['recovered'])}")
    if failed:
        raise SystemExit(1)


def _recovered(points: int) -> str:
    return "in order" if points == 0 else f"{points:,} points recovered from the journal"
