"""Runs, or groups of runs, side by side: the table that `holter compare` prints, as JSON and as text to copy.

A group of several runs, such as the seeds of one configuration, is one column: mean ± standard deviation over its runs.
"""

from typing import Any

from holter.dashboard.api._requests import CompareSpec
from holter.dashboard.api._runs import RunFolder, reading
from holter.dashboard.api._text import numbered
from holter.dashboard.http._errors import Refused

__all__ = ["compare"]


def compare(folder: RunFolder, spec: CompareSpec) -> dict[str, Any]:
    """Return the comparison of the groups that are asked for.

    Raises:
        Refused: If a run is not there, or the request makes no sense.
    """
    from holter import analysis

    groups = [(group.label, folder.get_all(group.runs)) for group in spec.groups if group.runs]
    if not groups:
        raise Refused(400, "groups names no run; there is nothing to compare")
    labels = numbered([label for label, _ in groups])
    columns = {label: [entry.run for entry in entries] for label, (_, entries) in zip(labels, groups, strict=True)}
    with reading(*(entry for _, entries in groups for entry in entries)):
        comparison = analysis.compare(
            columns, at=spec.at, metrics=list(spec.metrics) or None, targets=dict(spec.targets) or None
        )
    texts = {"markdown": comparison.to_markdown(), "latex": comparison.to_latex(), "csv": comparison.to_csv()}
    return {**comparison.to_dict(), **texts}
