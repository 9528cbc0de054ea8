"""Cells and rows of a comparison."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from holter._direction import Better
from holter.analysis._texts import ABSENT, number, setting, spread


@dataclass(frozen=True, slots=True)
class Cell:
    """The value of one run in one row.

    Attributes:
        text: The displayed text; "–" if the value is absent.
        value: The number behind the text; None if there is none.
        note: Additional information, such as the step of the value or why it is absent.
    """

    text: str
    value: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a comparison.

    Attributes:
        label: The quantity compared.
        cells: One per run.
        better: Which values are better; None if neither direction is.
        best: Indices of the best cells, several if tied; empty if all values are equal or fewer than two are present.
        help: A one-sentence explanation of the row.
    """

    label: str
    cells: list[Cell]
    better: Better
    best: list[int]
    help: str


def absent(why: str) -> Cell:
    """Return the cell of a run without a value."""
    return Cell(ABSENT, None, why)


def row(label: str, cells: Sequence[Cell], better: Better, help_text: str) -> Row:
    """Return a row with its best cells determined."""
    return Row(label, list(cells), better, _best(cells, better), help_text)


def merge_groups(per_run: Row, sizes: Sequence[int]) -> Row:
    """Return a row with one cell per group from a row with one cell per run.

    Args:
        per_run: The row of all runs, group by group.
        sizes: The number of runs in each group.
    """
    ends = accumulate(sizes)
    cells = [_merge(per_run.cells[end - size : end]) for size, end in zip(sizes, ends, strict=True)]
    return row(per_run.label, cells, per_run.better, f"{per_run.help} Mean ± population standard deviation.")


def _merge(cells: Sequence[Cell]) -> Cell:
    if len(cells) == 1:
        return cells[0]
    present = [cell for cell in cells if cell.text != ABSENT]
    if not present:
        return cells[0]
    note = f"{len(present)} runs" if len(present) == len(cells) else f"{len(present)} of {len(cells)} runs"
    values = [cell.value for cell in present if cell.value is not None]
    texts = dict.fromkeys(cell.text for cell in present)
    if len(texts) == 1 or len(values) < len(present):  # settings, or all equal
        return Cell(setting(", ".join(texts)), values[0] if values else None, note)
    mean, std = float(np.mean(values)), float(np.std(values))
    return Cell(f"{number(mean)} ± {spread(std)}", mean, note)


def _best(cells: Sequence[Cell], better: Better) -> list[int]:
    values = [cell.value for cell in cells]
    comparable = [value for value in values if value is not None and not math.isnan(value)]
    if better is None or len(set(comparable)) < 2:
        return []
    best = min(comparable) if better == "lower" else max(comparable)
    return [index for index, value in enumerate(values) if value == best]
