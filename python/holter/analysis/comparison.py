"""Comparison table of runs.

A missing value is "–" with a note that gives the reason. Rows without any value are omitted unless requested.
"""

import difflib
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import TYPE_CHECKING, Any, SupportsIndex

from holter._direction import direction
from holter._text import plain_json, visible
from holter.analysis import _rows, _tables
from holter.analysis._cells import Row, absent, merge_groups
from holter.analysis._cells import row as make_row
from holter.analysis.labels import run_labels

if TYPE_CHECKING:
    from holter import Run

_MAX_SETTINGS = 200
_MAX_NAMES = 10_000
"""Number of names to search for a suggestion."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison table.

    Attributes:
        runs: The columns: unique labels of the runs.
        rows: The rows.
        notes: Remarks about the table as a whole.
    """

    runs: list[str]
    rows: list[Row]
    notes: list[str]

    def to_markdown(self) -> str:
        """Return the table as GitHub Markdown with the best values in bold."""
        return _tables.markdown(self._header(), self._texts(), self._best())

    def to_latex(self) -> str:
        """Return the table as a LaTeX `tabular` with the best values in bold; needs the booktabs package."""
        return _tables.latex(self._header(), self._texts(), self._best())

    def to_csv(self) -> str:
        """Return the table as CSV; texts that a spreadsheet would evaluate as formulas start with an apostrophe."""
        return _tables.comma_separated(self._header(), self._texts())

    def to_dict(self) -> dict[str, Any]:
        """Return the table as JSON-compatible values; non-finite numbers are "nan", "inf" or "-inf"."""
        return {
            "runs": list(self.runs),
            "rows": [
                {
                    "label": row.label,
                    "cells": [{"text": c.text, "value": plain_json(c.value), "note": c.note} for c in row.cells],
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
    """Compare runs or groups of runs.

    The rows are: the validation perplexity (or loss) at each step of `at`, its best and its final value; the same for
    each of `metrics`; the targets; the step of the phase transition; the trend of the effective rank; how often the
    training loss was above the validation loss; the step from which a run differs from the first; the settings that
    differ.

    Metrics are recognized by name: `val/ppl`, `val_ppl`, `validation/perplexity` and `eval/ppl` are the same metric.

    Args:
        runs: The columns, at least one run; or groups of runs by label, such as the seeds of one setting, whose cells
            are the mean ± population standard deviation over the group.
        at: Steps. If a run has no point at a step, the cell has the nearest point and a note with its step.
        metrics: Names of more metrics.
        targets: Target values by metric name: an upper or a lower bound, depending on which is better for the metric.

    Raises:
        ValueError: If there is no run, or a group is empty.
        StoreError: If a run cannot be read.
    """
    groups = list(runs.values()) if isinstance(runs, Mapping) else [[run] for run in runs]
    if not groups or not all(groups):
        raise ValueError("compare needs at least one run, and at least one run in each group")
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
    rows = [row if len(row.cells) == len(groups) else merge_groups(row, sizes) for row in rows]
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
        notes.append("no run has a series that is a validation perplexity or loss by its name")
        return []
    missing = f"no validation {measure} found"
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
            close = difflib.get_close_matches(metric, sorted(names)[:_MAX_NAMES], n=1)
            notes.append(f"no run has a series {title!r}" + (f"; did you mean {visible(close[0])!r}?" if close else ""))
            yield make_row(title, [absent(missing)] * len(sources), None, "No run has this series.")


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
        notes.append(f"the phase transition was not computed: {error}")
    found += [_rows.rank_row(grouped), _rows.train_above_row(sources)]
    if len(sources) == len(grouped) > 1:
        found.append(_rows.divergence_row(sources))
    return [row for row in found if any(cell.value is not None for cell in row.cells)]


def _setting_rows(sources: Sequence[_rows.Source], notes: list[str]) -> list[Row]:
    settings = list(islice(_rows.setting_rows(sources), _MAX_SETTINGS + 1))
    if len(settings) > _MAX_SETTINGS:
        notes.append(f"more than {_MAX_SETTINGS} settings differ; only the first {_MAX_SETTINGS} are shown")
    return settings[:_MAX_SETTINGS]
