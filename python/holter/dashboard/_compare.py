"""Runs, or groups of runs, side by side: the table that `holter compare` prints, as JSON and as text to copy.

A group of several runs, such as the seeds of one configuration, is one column: mean ± standard deviation over its runs.
"""

import math
import re
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from holter.dashboard._errors import Refused
from holter.dashboard._requests import CompareSpec
from holter.dashboard._runs import RunFolder, reading
from holter.dashboard._text import numbered

if TYPE_CHECKING:
    from holter.analysis import Cell, Comparison, Row

__all__ = ["compare"]

_MOST_TEXTS = 4
_SETTING = "config: "  # a mean of seeds would mean nothing
# "3.04", and "3.04 @ 399" or "250 (98 %)", where the value is the number in front; not "328 → 312".
_NUMBER = re.compile(r"[-+−]?[0-9][0-9.,]*(e[-+]?[0-9]+)?( @ .*| \(.*)?")


def compare(folder: RunFolder, spec: CompareSpec) -> dict[str, Any]:
    """Return the comparison of the groups that are asked for.

    Raises:
        Refused: If a run is not there, or the request makes no sense.
    """
    from holter import analysis

    groups = [(group.label, folder.get_all(group.runs)) for group in spec.groups if group.runs]
    if not groups:
        raise Refused(400, "groups names no run; there is nothing to compare")
    everything = [entry for _, entries in groups for entry in entries]
    with reading(*everything):
        comparison = analysis.compare(
            [entry.run for entry in everything],
            at=spec.at,
            metrics=list(spec.metrics) or None,
            targets=dict(spec.targets) or None,
        )
    grouped = _grouped(comparison, [label for label, _ in groups], [len(entries) for _, entries in groups])
    texts = {"markdown": grouped.to_markdown(), "latex": grouped.to_latex(), "csv": grouped.to_csv()}
    return {**grouped.to_dict(), **texts}


def _grouped(comparison: "Comparison", labels: Sequence[str], sizes: Sequence[int]) -> "Comparison":
    """The comparison with a column for each group, whose runs stand side by side in it."""
    ends = [sum(sizes[: index + 1]) for index in range(len(sizes))]
    spans = [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]
    rows = [_grouped_row(row, spans) for row in comparison.rows] if max(sizes) > 1 else comparison.rows
    notes = [*comparison.notes]
    notes += [
        f"{label}: mean ± standard deviation of {size} runs ({', '.join(comparison.runs[span])})"
        for label, size, span in zip(labels, sizes, spans, strict=True)
        if size > 1
    ]
    return replace(comparison, runs=numbered(labels), rows=rows, notes=notes)


def _grouped_row(row: "Row", spans: Sequence[slice]) -> "Row":
    of_group = _joined_cell if row.label.startswith(_SETTING) else _grouped_cell
    cells = [of_group(row.cells[span]) for span in spans]
    return replace(row, cells=cells, best=_best([cell.value for cell in cells], row.better))


def _grouped_cell(cells: Sequence["Cell"]) -> "Cell":
    if len(cells) == 1:
        return cells[0]
    there = [cell for cell in cells if cell.value is not None]
    share = f"{len(there)} of {len(cells)} runs have it" if len(there) < len(cells) else ""
    if not there:
        return _joined_cell(cells)
    values = [cell.value for cell in there if cell.value is not None]
    if not all(_NUMBER.fullmatch(cell.text) for cell in there) or not all(map(math.isfinite, values)):
        return _joined_cell(there)
    mean, deviation = statistics.fmean(values), statistics.pstdev(values)
    notes = dict.fromkeys(note for note in (share, *(cell.note for cell in there)) if note)
    text = f"{mean:.4g} ± {deviation:.2g}" if len(values) > 1 else there[0].text
    return replace(there[0], text=text, value=mean, note="; ".join(list(notes)[:_MOST_TEXTS]))


def _joined_cell(cells: Sequence["Cell"]) -> "Cell":
    """What several runs have that no mean can be taken of: each text once."""
    texts = list(dict.fromkeys(cell.text for cell in cells))
    shown = ", ".join(texts[:_MOST_TEXTS]) + (", …" if len(texts) > _MOST_TEXTS else "")
    return replace(cells[0], text=shown) if len(texts) == 1 else replace(cells[0], text=shown, value=None, note="")


def _best(values: Sequence[float | None], better: str | None) -> list[int]:
    """The indices of the best values; none where nothing is better or there are not two to compare."""
    comparable = list(_comparable(values))
    if better is None or len(comparable) < 2:
        return []
    best = min(comparable) if better == "lower" else max(comparable)
    return [index for index, value in enumerate(values) if value == best]


def _comparable(values: Sequence[float | None]) -> Iterator[float]:
    return (value for value in values if value is not None and not math.isnan(value))
