"""`holter serve`: the dashboard, until Ctrl-C."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import click

from holter.cli.output import echo, is_terminal
from holter.cli.problems import Problem, failure
from holter.cli.runs import FOLDER, shown_folder
from holter.cli.text import visible

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["serve"]


@click.command()
@click.argument("folder", required=False, type=FOLDER, metavar="[RUNS]")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), help="The port; 6116 or the next that is free.")
@click.option("--token", help="What browsers must know, at least 16 characters. Made where --host needs one.")
@click.option("--allow-host", "allowed_hosts", multiple=True, metavar="NAME", help="A further name of this machine.")
@click.option("--open", "open_browser", is_flag=True, help="Open the page in the browser.")
@click.option("--notebook", is_flag=True, help="Let a page of this machine show it in a frame, as Jupyter does.")
def serve(
    folder: Path | None,
    *,
    host: str,
    port: int | None,
    token: str | None,
    allowed_hosts: tuple[str, ...],
    open_browser: bool,
    notebook: bool,
) -> None:
    """Open the dashboard: all runs of a folder in the browser, live while they are recorded.

    RUNS is the folder that the runs are in, or one run; ./runs if none is given. It may be empty: runs appear when
    they are begun. The address is printed, and Ctrl-C ends it. Runs are only read, never changed.

    Only this machine can reach it. From elsewhere, forward the port, which needs no token and nothing open:
    ssh -L 6116:localhost:6116 MACHINE. With another --host a token is needed, and is part of the address printed.

    It needs pip install 'holter[serve]'.

    \b
    Examples:
      holter serve
      holter serve experiments --open
      holter serve runs --host 0.0.0.0 --port 8000
    """
    root = shown_folder(folder)
    from holter.dashboard import serve as run_dashboard

    try:
        run_dashboard(
            root,
            host=host,
            port=port,
            token=token,
            open_browser=open_browser,
            notebook=notebook,
            allowed_hosts=allowed_hosts,
            announce=lambda url: _announce(root, url),
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    except OSError as error:
        raise Problem(failure(error), _way_out(error)) from None


def _way_out(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "leave --port out to take the next that is free"
    return "--host takes an address of this machine, such as 127.0.0.1, which is always one"


def _announce(root: Path, url: str) -> None:
    """Say the address: to a script nothing else, as one line."""
    echo(url)
    if is_terminal():
        echo(visible(f"This is the dashboard of {root}. Ctrl-C ends it."))
