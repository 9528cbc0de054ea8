"""`holter tensorboard`: run TensorBoard on a folder of runs until Ctrl-C."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from holter._text import visible
from holter.cli.output import echo, echo_error
from holter.cli.problems import Problem
from holter.cli.runs import FOLDER
from holter.cli.serving import echo_address, served_folder

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["tensorboard"]


@click.command()
@click.argument("folder", required=False, type=FOLDER, metavar="[RUNS]")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[-- ARGUMENT...]")
@click.option("--port", type=click.IntRange(0, 65535), help="TensorBoard's port (default: 6006, or the next free one).")
def tensorboard(folder: Path | None, arguments: tuple[str, ...], *, port: int | None) -> None:
    """Show runs in TensorBoard, updated while they are recorded.

    Use it if you are used to TensorBoard. RUNS is a folder of runs or one run, ./runs by default. It may be empty: new
    runs appear. Holter starts the installed TensorBoard and serves it the points; nothing is converted or copied, and
    runs are never changed. The address is printed; press Ctrl-C to stop both. Only this machine can connect.

    TensorBoard gets at most 1,000 points of a series, which include every spike. Each ARGUMENT after -- is passed to
    TensorBoard.

    Requires pip install 'holter[tensorboard]'.

    \b
    Examples:
      holter tensorboard
      holter tensorboard experiments --port 7007
      holter tensorboard runs -- --samples_per_plugin scalars=5000
    """
    if folder is not None and str(folder).startswith("-"):
        folder, arguments = None, (str(folder), *arguments)
    root = served_folder(folder)
    from holter.tensorboard import TensorBoardEndedError, serve

    try:
        serve(
            root,
            announce=lambda url: echo_address(url, f"TensorBoard on the runs of {root}"),
            port=port,
            arguments=arguments,
            on_message=lambda line: echo(visible(line), error=True),
            on_unreadable=lambda path, reason: echo_error(f"{path} cannot be read: {reason}"),
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    except TensorBoardEndedError as error:
        hint = "omit --port to use a free one" if "could not bind" in error.last_line else ""
        raise Problem(f"TensorBoard exited with status {error.status}", hint) from None
