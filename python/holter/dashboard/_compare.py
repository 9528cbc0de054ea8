"""Runs, or groups of runs, side by side: the table that `holter compare` prints, as JSON and as text to copy."""

from typing import Any

from holter.dashboard._errors import Refused
from holter.dashboard._requests import CompareSpec
from holter.dashboard._runs import RunFolder, reading

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
    with reading(*(entry for _, entries in groups for entry in entries)):
        try:
            comparison = analysis.compare(
                [entry.run for _, entries in groups for entry in entries],
                at=spec.at,
                metrics=list(spec.metrics) or None,
                targets=dict(spec.targets) or None,
            )
        except ValueError as error:
            raise Refused(400, str(error)) from error
    return {
        **comparison.to_dict(),
        "markdown": comparison.to_markdown(),
        "latex": comparison.to_latex(),
        "csv": comparison.to_csv(),
    }
