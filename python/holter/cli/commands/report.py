"""`holter report`: runs in one file of HTML that needs neither a server nor the network."""

from __future__ import annotations

from pathlib import Path

import click

from holter.cli.files import check_target, whole_file
from holter.cli.output import echo
from holter.cli.runs import RUN, open_run
from holter.cli.text import bytes_text, visible

__all__ = ["report"]


@click.command()
@click.argument("run_texts", nargs=-1, required=True, metavar="RUN...", type=RUN)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default="report.html",
    show_default=True,
    metavar="PATH",
    help="The file to write.",
)
@click.option("--title", help="The title; made of the runs' names if not given.")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
def report(run_texts: tuple[str, ...], *, output: Path, title: str | None, force: bool) -> None:
    """Write one HTML file that shows runs: their facts, an overview, every family of series as a chart.

    The file holds all that it needs and loads nothing: it opens offline, from a disk or a mail, and its charts can be
    zoomed. For a single chart in a paper see `holter plot --out`; to look at runs while they go on, `holter serve`.

    It needs pip install 'holter[serve]'.

    \b
    Examples:
      holter report run-2
      holter report run-1 run-2 -o comparison.html --title 'Prose against code'
    """
    check_target(output, force=force)
    runs = [open_run(text) for text in run_texts]
    from holter import plots

    with whole_file(output) as unfinished:
        plots.report(runs, unfinished, title=title)
    echo(visible(f"{output}: {bytes_text(output.stat().st_size)}"), error=True)
