"""`holter serve`: run the dashboard until Ctrl-C."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import click

from holter.cli.problems import Problem, error_text
from holter.cli.runs import FOLDER
from holter.cli.serving import echo_address, served_folder

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["serve"]


@click.command()
@click.argument("folder", required=False, type=FOLDER, metavar="[RUNS]")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port (default: 6116, or the next free one).")
@click.option("--token", help="Access token of at least 16 characters (default: generated if --host requires one).")
@click.option(
    "--allow-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    help="Accept this host name too. Repeat for several.",
)
@click.option("--open", "open_browser", is_flag=True, help="Open the dashboard in the browser.")
@click.option(
    "--notebook", is_flag=True, help="Allow pages on this machine, such as Jupyter, to embed the dashboard in a frame."
)
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
    """Start the dashboard: all runs of a folder in the browser, updated while they are recorded.

    Use it to explore charts of many series and to compare runs interactively. RUNS is a folder of runs or one run,
    ./runs by default. It may be empty: new runs appear. The address is printed; press Ctrl-C to stop. Runs are never
    changed.

    By default only this machine can connect. From another machine, forward the port over SSH, which needs no token:
    ssh -L 6116:localhost:6116 MACHINE. With another --host, browsers need a token, which the printed address includes.

    Requires pip install 'holter[serve]'.

    \b
    Examples:
      holter serve
      holter serve experiments --open
      holter serve runs --host 0.0.0.0 --port 8000
    """
    root = served_folder(folder)
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
            announce=lambda url: echo_address(url, f"Dashboard of {root}"),
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    except OSError as error:
        raise Problem(error_text(error), _hint(error)) from None


def _hint(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "omit --port to use the next free one"
    return "pass an address of this machine to --host, such as 127.0.0.1"
