"""Runs side by side: the design note's table from what the runs have recorded.

Whatever a run lacks is "–" in the table, with a note that says why; a row that no run has anything for is left out,
unless it was asked for.
"""

import difflib
import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import TYPE_CHECKING, Any, SupportsIndex

from holter._direction import direction
from holter.analysis import _rows, _tables
from holter.analysis._cells import Row, absent, folded
from holter.analysis._cells import row as make_row
from holter.analysis._texts import visible
from holter.analysis.labels import run_labels

if TYPE_CHECKING:
    from holter import Run

_MOST_SETTINGS = 200
_MOST_NAMES = 10_000
"""So many names are looked through for one that was meant."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The table.

    Attributes:
        runs: The runs' labels, the columns; no two are the same.
        rows: The rows.
        notes: What concerns the table as a whole.
    """

    runs: list[str]
    rows: list[Row]
    notes: list[str]

    def to_markdown(self) -> str:
        """Return the table in GitHub's Markdown, the best values in bold."""
        return _tables.markdown(self._header(), self._texts(), self._best())

    def to_latex(self) -> str:
        """Return the table as a `tabular` for LaTeX with the package booktabs, the best values in bold."""
        return _tables.latex(self._header(), self._texts(), self._best())

    def to_csv(self) -> str:
        """Return the table as CSV; what a spreadsheet would take for a formula begins with an apostrophe."""
        return _tables.comma_separated(self._header(), self._texts())

    def to_dict(self) -> dict[str, Any]:
        """Return the table as what JSON holds; a number that is not finite is "nan", "inf" or "-inf"."""
        return {
            "runs": list(self.runs),
            "rows": [
                {
                    "label": row.label,
                    "cells": [{"text": c.text, "value": _json_number(c.value), "note": c.note} for c in row.cells],
                    "better": row.better,
                    "best": list(row.best),
                    "help": row.help,
                }
                for row in self.rows
            ],
            "notes": list(self.notes),
        }

    def _header(self) -> list[str]:
        return ["Metric", *self.runs]

    def _texts(self) -> list[list[str]]:
        return [[row.label, *(cell.text for cell in row.cells)] for row in self.rows]

    def _best(self) -> set[tuple[int, int]]:
        return {(i, j + 1) for i, row in enumerate(self.rows) for j in row.best}


def compare(
    runs: Sequence["Run"] | Mapping[str, Sequence["Run"]],
    *,
    at: Sequence[SupportsIndex] = (),
    metrics: Sequence[str] | None = None,
    targets: Mapping[str, float] | None = None,
) -> Comparison:
    """Return the runs, or groups of runs, side by side.

    The rows: the validation perplexity (or loss) at each step of `at`, its best and its last value; the same of each
    of `metrics`; the targets; the step of the phase transition; the effective rank's trend; how often the training was
    above the validation; the step from which a run differs from the first; the settings that differ.

    Metrics are found by what their names mean: `val/ppl`, `val_ppl`, `validation/perplexity` and `eval/ppl` are one.

    Args:
        runs: The columns, at least one. Or the groups by their labels, such as the seeds of one setting: a cell is
            then the mean ± the population standard deviation over the group's runs.
        at: Steps. Where a run has no point at one of them the nearest is taken, and the cell's note says so.
        metrics: Names of more metrics.
        targets: Values that metrics are to reach, by name: at least or at most, as is better for such a metric.

    Raises:
        ValueError: If there is no run, or a group has none.
        StoreError: If a run cannot be read.
    """
    groups = list(runs.values()) if isinstance(runs, Mapping) else [[run] for run in runs]
    if not groups or not all(groups):
        raise ValueError("compare takes at least one run, and at least one in each group")
    all_runs = [run for group in groups for run in group]
    labels = run_labels(all_runs)
    sources = [_rows.Source(run, label) for run, label in zip(all_runs, labels, strict=True)]
    ends = list(accumulate(map(len, groups)))
    grouped = [sources[end - len(group) : end] for group, end in zip(groups, ends, strict=True)]
    notes: list[str] = []
    steps = [operator.index(step) for step in at]
    rows = [
        *_validation_rows(sources, steps, notes),
        *_metric_rows(sources, steps, dict.fromkeys(metrics or ()), notes),
        *_target_rows(sources, targets or {}),
        *_derived_rows(grouped, sources, notes),
        *_setting_rows(sources, notes),
    ]
    sizes = [len(group) for group in groups]
    rows = [row if len(row.cells) == len(groups) else folded(row, sizes) for row in rows]
    if not isinstance(runs, Mapping):
        return Comparison(labels, rows, notes)
    columns = [visible(label) for label in runs]
    for column, end, size in zip(columns, ends, sizes, strict=True):
        if size > 1:
            members = ", ".join(labels[end - size : end])
            notes.append(f"{column}: mean ± population standard deviation of {size} runs ({members})")
    return Comparison(columns, rows, notes)


def _validation_rows(sources: Sequence[_rows.Source], steps: Sequence[int], notes: list[str]) -> Iterable[Row]:
    measure, curves = _rows.validation(sources)
    if not any(curves):
        notes.append("no run has a validation perplexity or loss that could be told by its name")
        return []
    missing = f"no validation {measure} was found"
    return _rows.curve_rows(f"Val {measure}", curves, steps, "lower", missing=missing)


def _metric_rows(
    sources: Sequence[_rows.Source], steps: Sequence[int], metrics: Iterable[str], notes: list[str]
) -> Iterable[Row]:
    for metric in metrics:
        curves = _rows.metric_curves(sources, metric)
        title, missing = visible(metric), f"no series {visible(metric)!r}"
        if any(curves):
            yield from _rows.curve_rows(title, curves, steps, direction(metric), missing=missing)
        else:
            names = {name for source in sources for name in source.names}
            close = difflib.get_close_matches(metric, sorted(names)[:_MOST_NAMES], n=1)
            notes.append(f"no run has a series {title!r}" + (f"; did you mean {visible(close[0])!r}?" if close else ""))
            yield make_row(title, [absent(missing)] * len(sources), None, "No run has it.")


def _target_rows(sources: Sequence[_rows.Source], targets: Mapping[str, float]) -> Iterable[Row]:
    for metric, target in targets.items():
        curves = _rows.metric_curves(sources, metric)
        yield _rows.target_row(curves, metric, float(target), missing=f"no series {visible(metric)!r}")


def _derived_rows(
    grouped: Sequence[Sequence[_rows.Source]], sources: Sequence[_rows.Source], notes: list[str]
) -> Iterable[Row]:
    found: list[Row] = []
    try:
        found.append(_rows.transition_row(sources))
    except ImportError as error:
        notes.append(f"the phase transition is left out: {error}")
    found += [_rows.rank_row(grouped), _rows.train_above_row(sources)]
    if len(sources) == len(grouped) > 1:
        found.append(_rows.divergence_row(sources))
    return [row for row in found if any(cell.value is not None for cell in row.cells)]


def _setting_rows(sources: Sequence[_rows.Source], notes: list[str]) -> list[Row]:
    settings = list(islice(_rows.setting_rows(sources), _MOST_SETTINGS + 1))
    if len(settings) > _MOST_SETTINGS:
        notes.append(f"more than {_MOST_SETTINGS} settings differ; the first are shown")
    return settings[:_MOST_SETTINGS]


def _json_number(value: float | None) -> float | str | None:
    if value is None or math.isfinite(value):
        return value
    return repr(float(value))
