"""The cells and rows of a comparison."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from holter._direction import Better
from holter.analysis._texts import ABSENT, number, setting, spread


@dataclass(frozen=True, slots=True)
class Cell:
    """What one run has in one row.

    Attributes:
        text: As it is shown; "–" if it is absent.
        value: The number behind the text, if there is one.
        note: What the reader has to know: which step it is from, why it is absent.
    """

    text: str
    value: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a comparison.

    Attributes:
        label: What it compares.
        cells: One for each run.
        better: Which values are better; None where none are.
        best: The indices of the best cells, several if they are equal; none if all are, or there is one to compare.
        help: The row in a sentence.
    """

    label: str
    cells: list[Cell]
    better: Better
    best: list[int]
    help: str


def absent(why: str) -> Cell:
    """Return the cell of a run that has nothing to show."""
    return Cell(ABSENT, None, why)


def row(label: str, cells: Sequence[Cell], better: Better, text: str) -> Row:
    """Return the row, its best cells found."""
    return Row(label, list(cells), better, _best(cells, better), text)


def folded(one_by_one: Row, sizes: Sequence[int]) -> Row:
    """Return the row of groups of so many runs each, from that of all their runs."""
    ends = accumulate(sizes)
    cells = [_folded(one_by_one.cells[end - size : end]) for size, end in zip(sizes, ends, strict=True)]
    return row(one_by_one.label, cells, one_by_one.better, f"{one_by_one.help} Mean ± population standard deviation.")


def _folded(cells: Sequence[Cell]) -> Cell:
    if len(cells) == 1:
        return cells[0]
    there = [cell for cell in cells if cell.text != ABSENT]
    if not there:
        return cells[0]
    note = f"{len(there)} runs" if len(there) == len(cells) else f"{len(there)} of {len(cells)} runs"
    values = [cell.value for cell in there if cell.value is not None]
    texts = dict.fromkeys(cell.text for cell in there)
    if len(texts) == 1 or len(values) < len(there):  # settings, or all the same
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
