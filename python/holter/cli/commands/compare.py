"""`holter compare`: the table of `holter.analysis.compare`, for the terminal, papers and scripts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import click

from holter._text import visible
from holter.cli.output import Cell, Column, echo, echo_json, echo_table, is_terminal
from holter.cli.problems import Problem, error_text
from holter.cli.runs import RUN, open_run
from holter.cli.steps import parse_steps

if TYPE_CHECKING:
    from holter.analysis import Comparison

__all__ = ["compare"]

FORMATS = ("table", "markdown", "latex", "csv", "json")


@click.command()
@click.argument("run_texts", nargs=-1, required=True, metavar="RUN...", type=RUN)
@click.option("--at", "at_texts", multiple=True, metavar="STEPS", help="Compare at these steps: 5000,10000.")
@click.option(
    "--metric", "metrics", multiple=True, metavar="NAME", help="Also compare this metric. Repeat for several."
)
@click.option(
    "--target",
    "target_texts",
    multiple=True,
    metavar="NAME=VALUE",
    help="Report when a metric reaches a value. Repeat for several.",
)
@click.option("--format", "kind", type=click.Choice(FORMATS), default="table", show_default=True, help="Output format.")
@click.option("--json", "as_json", is_flag=True, help="Same as --format json.")
def compare(
    run_texts: tuple[str, ...],
    *,
    at_texts: tuple[str, ...],
    metrics: tuple[str, ...],
    target_texts: tuple[str, ...],
    kind: str,
    as_json: bool,
) -> None:
    """Compare runs in a table: what each reached, when, and which settings differ.

    Use it to decide between two trainings, or to make a table for a paper. Each RUN is a column. Rows are the
    validation perplexity (or loss) at the steps of --at, its best and its last value, the step of the phase
    transition, the trend of the effective rank, how often the training loss was above the validation loss, the step
    at which the runs diverge, and the settings that differ. Rows without data are omitted.

    If a run has no point at a step, the nearest point is used, and a note reports it: below the table, or on standard
    error for Markdown, LaTeX and CSV. The best value of a row is green on a terminal and marked with * in a pipe.

    \b
    Examples:
      holter compare run-1 run-2 --at 5000,10000
      holter compare run-1 run-2 --metric grad_norm_total --target val/ppl=20
      holter compare runs/seed-* --at 10000 --format latex > table.tex
    """
    at = parse_steps(at_texts)
    targets = dict(map(_target, target_texts))
    runs = [open_run(text) for text in run_texts]
    from holter import analysis

    try:
        comparison = analysis.compare(runs, at=at, metrics=list(metrics) or None, targets=targets or None)
    except KeyError as error:
        raise Problem(error_text(error), "`holter show RUN` lists the series of a run") from None
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if as_json or kind == "json":
        echo_json(comparison.to_dict())
        return
    if kind == "table":
        _echo_comparison(comparison)
    else:
        written = {"markdown": comparison.to_markdown, "latex": comparison.to_latex, "csv": comparison.to_csv}[kind]()
        for line in written.splitlines():
            echo(visible(line))
    for note in _notes(comparison):
        # Apart from a table that is redirected into a paper.
        echo(visible(note), error=kind != "table")


def _echo_comparison(comparison: Comparison) -> None:
    columns = [Column("metric", can_shrink=True), *(Column(visible(run), is_number=True) for run in comparison.runs)]
    rows: list[list[Cell | str]] = [
        [row.label, *(_cell(cell.text, is_best=index in row.best) for index, cell in enumerate(row.cells))]
        for row in comparison.rows
    ]
    echo_table(columns, rows)


def _notes(comparison: Comparison) -> list[str]:
    """Notes on cells, then on the whole table."""
    of_cells = [
        f"{row.label}, {run}: {cell.note}"
        for row in comparison.rows
        for run, cell in zip(comparison.runs, row.cells, strict=True)
        if cell.note
    ]
    return [*of_cells, *comparison.notes]


def _cell(text: str, *, is_best: bool) -> Cell:
    if is_terminal():
        return Cell(text, "bold green" if is_best else "")
    return Cell(f"{text} *" if is_best else text)


def _target(text: str) -> tuple[str, float]:
    name, equals, value = text.rpartition("=")
    try:
        target = float(value)
    except ValueError:
        target = math.nan
    if not equals or not name or math.isnan(target):
        raise click.BadParameter(
            f"{text!r} is not a target; expected NAME=VALUE, such as val/ppl=20", param_hint="--target"
        )
    return name, target
