"""`holter compare`: the table of `holter.analysis.compare`, in the terminal, for a paper or for a script."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import click

from holter.cli.output import Cell, Column, echo, echo_json, echo_table, is_terminal
from holter.cli.problems import Problem, failure
from holter.cli.runs import RUN, open_run
from holter.cli.steps import parsed_steps
from holter.cli.text import visible

if TYPE_CHECKING:
    from holter.analysis import Comparison

__all__ = ["compare"]

FORMATS = ("table", "markdown", "latex", "csv", "json")


@click.command()
@click.argument("run_texts", nargs=-1, required=True, metavar="RUN...", type=RUN)
@click.option("--at", "at_texts", multiple=True, metavar="STEPS", help="Steps to compare at: 5000,10000.")
@click.option("--metric", "metrics", multiple=True, metavar="NAME", help="Compare this metric too. May be repeated.")
@click.option("--target", "target_texts", multiple=True, metavar="NAME=VALUE", help="A value that is to be reached.")
@click.option("--format", "kind", type=click.Choice(FORMATS), default="table", show_default=True, help="The format.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
def compare(
    run_texts: tuple[str, ...],
    *,
    at_texts: tuple[str, ...],
    metrics: tuple[str, ...],
    target_texts: tuple[str, ...],
    kind: str,
    as_json: bool,
) -> None:
    """Put runs side by side: what each reached, when, and what sets them apart.

    Rows are the validation perplexity (or loss) at the steps of --at, its best and its last value, the step of the
    phase transition, the trend of the effective rank, how often the training loss was above the validation loss, the
    step from which the runs differ, and the settings that differ. Rows that no run has data for are left out.

    Where a run has no point at a step, the nearest one is taken and said below the table; for Markdown, LaTeX and CSV
    on the error output. On a terminal the best value of a row is green; in a pipe a * stands behind it.

    \b
    Examples:
      holter compare run-1 run-2 --at 5000,10000
      holter compare run-1 run-2 --metric grad_norm_total --target val/ppl=20
      holter compare runs/seed-* --at 10000 --format latex > table.tex
    """
    at = parsed_steps(at_texts)
    targets = dict(map(_target, target_texts))
    runs = [open_run(text) for text in run_texts]
    from holter import analysis

    try:
        comparison = analysis.compare(runs, at=at, metrics=list(metrics) or None, targets=targets or None)
    except KeyError as error:
        raise Problem(failure(error), "`holter show RUN` lists the series of a run") from None
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
        # Beside a table that goes into a paper, where they are read and do no harm.
        echo(visible(note), error=kind != "table")


def _echo_comparison(comparison: Comparison) -> None:
    columns = [Column("metric", folds=True), *(Column(visible(run), is_number=True) for run in comparison.runs)]
    rows: list[list[Cell | str]] = [
        [row.label, *(_cell(cell.text, is_best=index in row.best) for index, cell in enumerate(row.cells))]
        for row in comparison.rows
    ]
    echo_table(columns, rows)


def _notes(comparison: Comparison) -> list[str]:
    """What has to be known of single cells, and then of the whole table."""
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
        raise click.BadParameter(f"{text!r} is no target; write NAME=VALUE, such as val/ppl=20", param_hint="--target")
    return name, target
