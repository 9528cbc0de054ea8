"""`holter tensorboard`: TensorBoard's own page on a folder's runs, until Ctrl-C."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from holter.cli.output import echo, echo_error, is_terminal
from holter.cli.problems import Problem
from holter.cli.runs import FOLDER, shown_folder
from holter.cli.text import visible

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["tensorboard"]


@click.command()
@click.argument("folder", required=False, type=FOLDER, metavar="[RUNS]")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[-- ARGUMENT...]")
@click.option("--port", type=click.IntRange(0, 65535), help="TensorBoard's port; 6006 or the next that is free.")
def tensorboard(folder: Path | None, arguments: tuple[str, ...], *, port: int | None) -> None:
    """Look at runs in TensorBoard's own page, live while they are recorded.

    RUNS is the folder that the runs are in, or one run; ./runs if none is given. It may be empty: runs appear when
    they are begun. Your TensorBoard is started and asks Holter for the points; nothing is converted or copied, and
    runs are only read. The address is printed, and Ctrl-C ends both. Only this machine can reach it.

    Of a long series TensorBoard gets a sample of 1,000 points, in which each spike is kept. Every ARGUMENT behind --
    is passed to TensorBoard.

    It needs pip install 'holter[tensorboard]'.

    \b
    Examples:
      holter tensorboard
      holter tensorboard experiments --port 7007
      holter tensorboard runs -- --samples_per_plugin scalars=5000
    """
    if folder is not None and str(folder).startswith("-"):
        folder, arguments = None, (str(folder), *arguments)
    root = shown_folder(folder)
    from holter.tensorboard import TensorBoardEndedError, serve

    try:
        serve(
            root,
            announce=lambda url: _announce(root, url),
            port=port,
            arguments=arguments,
            on_message=lambda line: echo(visible(line), error=True),
            on_unreadable=lambda path, reason: echo_error(f"{path} is left out: {reason}"),
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    except TensorBoardEndedError as error:
        way_out = "leave --port out to take one that is free" if "could not bind" in error.last_line else ""
        raise Problem(f"TensorBoard ended by itself, with exit status {error.status}", way_out) from None


def _announce(root: Path, url: str) -> None:
    """Say the address: to a script nothing else, as one line."""
    echo(url)
    if is_terminal():
        echo(visible(f"This is TensorBoard on the runs of {root}. Ctrl-C ends it."))
