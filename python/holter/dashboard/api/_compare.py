"""Compares runs, or groups of runs: the table of `holter compare` as JSON, Markdown, LaTeX and CSV.

A group of several runs, such as the seeds of one configuration, is one column: mean ± standard deviation.
"""

import msgspec

from holter._text import numbered
from holter.dashboard.api._requests import CompareRequest
from holter.dashboard.api._responses import ComparisonResponse
from holter.dashboard.api._runs import RunFolder, reading
from holter.dashboard.http._errors import RequestError

__all__ = ["compare"]


def compare(folder: RunFolder, request: CompareRequest) -> ComparisonResponse:
    """Return the comparison of the request's groups.

    Raises:
        RequestError: If all groups are empty, or a run does not exist or cannot be read.
    """
    from holter import analysis

    groups = [(group.label, folder.get_all(group.runs)) for group in request.groups if group.runs]
    if not groups:
        raise RequestError(400, "groups contain no runs; expected at least one run")
    labels = numbered([label for label, _ in groups])
    columns = {label: [entry.run for entry in entries] for label, (_, entries) in zip(labels, groups, strict=True)}
    with reading(*(entry for _, entries in groups for entry in entries)):
        comparison = analysis.compare(
            columns, at=request.at, metrics=list(request.metrics) or None, targets=request.targets or None
        )
    texts = {"markdown": comparison.to_markdown(), "latex": comparison.to_latex(), "csv": comparison.to_csv()}
    return msgspec.convert({**comparison.to_dict(), **texts}, ComparisonResponse)
