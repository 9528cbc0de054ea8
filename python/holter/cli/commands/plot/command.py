"""`holter plot`: the charts of `holter.plots`, drawn in the terminal or into a file."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holter.cli.files import check_target, whole_file
from holter.cli.output import echo, is_terminal, terminal_console
from holter.cli.problems import Problem, failure
from holter.cli.runs import RUN, open_run
from holter.cli.series import chosen_names
from holter.cli.text import visible

if TYPE_CHECKING:
    import holter
    from holter.plots import Chart

__all__ = ["plot"]

BANDS = ("std", "quantile", "minmax")
SUFFIXES = (".png", ".svg", ".pdf", ".html")
PIPE_COLUMNS = 100
HEIGHT = 16
FILE_PX = 1600
POINTS_PER_CHARACTER = 8
"""Of a line, at most: more than there are dots, so that a spike goes as high as it is."""


@click.command()
@click.argument("run_text", metavar="RUN", type=RUN)
@click.argument("patterns", nargs=-1, required=True, metavar="PATTERN...")
@click.option("--with", "others", multiple=True, metavar="RUN", type=RUN, help="Another run. May be repeated.")
@click.option("--band", type=click.Choice(BANDS), help="One band over all series, instead of a line for each.")
@click.option("--heatmap", is_flag=True, help="A row for each series, colour for value.")
@click.option("--start", type=int, metavar="STEP", help="The first step to show.")
@click.option("--stop", type=int, metavar="STEP", help="The step after the last one to show.")
@click.option(
    "--smooth", type=click.FloatRange(min=0), default=0.0, metavar="STEPS", help="Half-life of the smoothing."
)
@click.option("--log-y", is_flag=True, help="A logarithmic axis of values; what is not positive is left out.")
@click.option("--x", "x_axis", default="step", metavar="AXIS", help="step, relative, wall, or metric:NAME.")
@click.option(
    "--width", type=click.IntRange(min=40, max=500), metavar="N", help="Characters across; those of the terminal."
)
@click.option(
    "--height", type=click.IntRange(min=4, max=200), default=HEIGHT, metavar="N", help="Lines of the picture."
)
@click.option("--title", help="The title; made of the names if not given.")
@click.option("-o", "--out", type=click.Path(path_type=Path), metavar="FILE", help="Write .png, .svg, .pdf or .html.")
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
def plot(
    run_text: str,
    *,
    patterns: tuple[str, ...],
    others: tuple[str, ...],
    out: Path | None,
    force: bool,
    width: int | None,
    height: int,
    **options: Any,
) -> None:
    """Draw metrics of a RUN: in the terminal, or into a file for a paper or a page.

    A line for each series that matches a PATTERN, which is as a shell's, but * also matches /; quote it. NaN and
    infinities are × on the horizontal axis. No line loses a spike, however far one zooms out: where a point stands
    for many steps, its smallest and largest value are drawn too.

    --band std is mean and standard deviation over the series (and the runs), quantile median and 10 to 90 %, minmax
    mean, smallest and largest. A PNG, SVG or PDF needs pip install 'holter[plot]', a page of HTML 'holter[serve]'.

    \b
    Examples:
      holter plot run-2 train/loss
      holter plot run-1 train/loss --with run-2 --smooth 100 --log-y
      holter plot run-2 'attention_entropy/layer_*' --band std
      holter plot run-2 'attention_entropy/layer_*' --heatmap --out entropy.pdf
    """
    if options["band"] and options["heatmap"]:
        raise click.UsageError("--band and --heatmap are two ways to draw the same series; take one")
    if options["heatmap"] and others:
        raise click.UsageError("a heatmap shows one run; leave --with out")
    if out is not None:
        _check_out(out, force=force)
    columns = width or (shutil.get_terminal_size().columns if is_terminal() else PIPE_COLUMNS)
    runs = [open_run(text) for text in (run_text, *others)]
    names = chosen_names(runs, patterns)
    chart = _chart(runs, names, FILE_PX if out is not None else POINTS_PER_CHARACTER * columns, options)
    if out is not None:
        _save(chart, out)
        echo(visible(f"{out}: {len(names)} series"), error=True)
    else:
        _draw(chart, columns, height)


def _chart(runs: list[holter.Run], names: list[str], px: int, options: dict[str, Any]) -> Chart:
    from holter import plots

    try:
        view = plots.View(
            px=px,
            start=options["start"],
            stop=options["stop"],
            x=options["x_axis"],
            half_life=options["smooth"],
            log_y=options["log_y"],
        )
        if options["heatmap"]:
            return plots.heatmap_chart(runs[0], names, view, title=options["title"])
        if options["band"]:
            return plots.band_chart(runs, names, options["band"], view, title=options["title"])
        return plots.line_chart(runs, names, view, title=options["title"])
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    except KeyError as error:
        raise Problem(failure(error), "`holter show RUN` lists the series of a run") from None


def _draw(chart: Chart, columns: int, height: int) -> None:
    from holter.cli.commands.plot.drawing import Paper, draw

    if not is_terminal():
        for line in draw(chart, Paper(columns, height, is_coloured=False, draws_boxes=False)):
            echo("".join(segment.text for segment in line).rstrip())
        return
    from rich.text import Text

    console = terminal_console()
    is_coloured = console.color_system is not None and not console.no_color
    for line in draw(chart, Paper(columns, height, is_coloured=is_coloured, draws_boxes=True)):
        console.print(Text.assemble(*line, no_wrap=True), soft_wrap=True)


def _check_out(path: Path, *, force: bool) -> None:
    if path.suffix.lower() not in SUFFIXES:
        raise click.UsageError(f"{str(path)!r} does not end in {', '.join(SUFFIXES)}, which says what is written")
    check_target(path, force=force)


def _save(chart: Chart, path: Path) -> None:
    from holter import plots

    with whole_file(path) as unfinished:
        if path.suffix.lower() == ".html":
            _save_page(chart, unfinished)
        else:
            plots.save(chart, unfinished)


def _save_page(chart: Chart, path: Path) -> None:
    """A page that holds plotly.js as well, so that it opens offline."""
    from holter import plots

    try:
        import plotly.graph_objects as go
    except ImportError:
        raise Problem(
            "a page of HTML is drawn by plotly, which is not installed", "pip install 'holter[serve]'"
        ) from None
    # Attributes that an older plotly does not know yet are left out.
    go.Figure(plots.to_plotly(chart), skip_invalid=True).write_html(path, include_plotlyjs=True)
