"""`holter plot`: charts of `holter.plots` in the terminal or in a file."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holter._text import visible
from holter.cli.files import atomic_file, check_target
from holter.cli.output import echo, is_terminal, terminal_console
from holter.cli.problems import Problem, error_text
from holter.cli.runs import RUN, open_run
from holter.cli.series import matching_names

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
"""Maximum points of a line: more than there are dots, so that spikes keep their height."""


@click.command()
@click.argument("run_text", metavar="RUN", type=RUN)
@click.argument("patterns", nargs=-1, required=True, metavar="PATTERN...")
@click.option("--with", "others", multiple=True, metavar="RUN", type=RUN, help="Add another run. Repeat for several.")
@click.option("--band", type=click.Choice(BANDS), help="Draw one band over all series instead of a line for each.")
@click.option("--heatmap", is_flag=True, help="Draw a row for each series, with values as colors.")
@click.option("--start", type=int, metavar="STEP", help="First step to show.")
@click.option("--stop", type=int, metavar="STEP", help="Step after the last one to show.")
@click.option(
    "--smooth", type=click.FloatRange(min=0), default=0.0, metavar="STEPS", help="Half-life of the smoothing, in steps."
)
@click.option("--log-y", is_flag=True, help="Use a logarithmic y axis, without values that are not positive.")
@click.option(
    "--x", "x_axis", default="step", metavar="AXIS", help="x axis: step (default), relative, wall, or metric:NAME."
)
@click.option(
    "--width", type=click.IntRange(min=40, max=500), metavar="N", help="Width in characters (default: the terminal's)."
)
@click.option(
    "--height",
    type=click.IntRange(min=4, max=200),
    default=HEIGHT,
    show_default=True,
    metavar="N",
    help="Height in lines.",
)
@click.option("--title", help="Title (default: from the names).")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), metavar="FILE", help="Write a .png, .svg, .pdf or .html file."
)
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
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
    """Plot metrics of a RUN in the terminal or to a file.

    Use it for a quick look over SSH, or for a figure in a paper. Each series that matches PATTERN is a line; PATTERN is
    like a shell pattern, except that * also matches /. Quote it. NaN and infinities are × on the x axis. Spikes are
    never lost: where a point represents many steps, their smallest and largest value are drawn too.

    --band std draws the mean and standard deviation over all series (and runs), quantile the median and the 10 % to
    90 % range, minmax the mean and the full range. PNG, SVG and PDF require pip install 'holter[plot]', HTML
    'holter[serve]'.

    \b
    Examples:
      holter plot run-2 train/loss
      holter plot run-1 train/loss --with run-2 --smooth 100 --log-y
      holter plot run-2 'attention_entropy/layer_*' --band std
      holter plot run-2 'attention_entropy/layer_*' --heatmap --out entropy.pdf
    """
    if options["band"] and options["heatmap"]:
        raise click.UsageError("--band and --heatmap exclude each other; pass one of them")
    if options["heatmap"] and others:
        raise click.UsageError("a heatmap shows one run; omit --with")
    if out is not None:
        _check_out(out, force=force)
    columns = width or (shutil.get_terminal_size().columns if is_terminal() else PIPE_COLUMNS)
    runs = [open_run(text) for text in (run_text, *others)]
    names = matching_names(runs, patterns)
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
        raise Problem(error_text(error), "`holter show RUN` lists the series of a run") from None


def _draw(chart: Chart, columns: int, height: int) -> None:
    from holter.cli.commands.plot.drawing import Canvas, draw

    if not is_terminal():
        for line in draw(chart, Canvas(columns, height, has_color=False, has_boxes=False)):
            echo("".join(segment.text for segment in line).rstrip())
        return
    from rich.text import Text

    console = terminal_console()
    has_color = console.color_system is not None and not console.no_color
    for line in draw(chart, Canvas(columns, height, has_color=has_color, has_boxes=True)):
        console.print(Text.assemble(*line, no_wrap=True), soft_wrap=True)


def _check_out(path: Path, *, force: bool) -> None:
    if path.suffix.lower() not in SUFFIXES:
        raise click.UsageError(f"unknown file format {path.suffix!r} of {str(path)!r}; expected {', '.join(SUFFIXES)}")
    check_target(path, force=force)


def _save(chart: Chart, path: Path) -> None:
    from holter import plots

    with atomic_file(path) as unfinished:
        if path.suffix.lower() == ".html":
            _save_page(chart, unfinished)
        else:
            plots.save(chart, unfinished)


def _save_page(chart: Chart, path: Path) -> None:
    """Write a page that includes plotly.js, so that it works offline."""
    from holter import plots

    try:
        import plotly.graph_objects as go
    except ImportError:
        raise Problem("an HTML chart needs plotly, which is not installed", "pip install 'holter[serve]'") from None
    # Skip attributes that an older plotly does not support.
    go.Figure(plots.to_plotly(chart), skip_invalid=True).write_html(path, include_plotlyjs=True)
