"""Unique labels for runs that are shown together."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from holter._text import numbered, visible

if TYPE_CHECKING:
    from holter import Run


def run_labels(runs: Sequence["Run"]) -> list[str]:
    """Return the runs' names; shared names are followed by the distinguishing end of the path, or a number."""
    names = [visible(run.name) for run in runs]
    return numbered(
        [
            name if names.count(name) == 1 else f"{name} ({visible(_path_suffix(run, name, names, runs))})"
            for run, name in zip(runs, names, strict=True)
        ]
    )


def _path_suffix(run: "Run", name: str, names: Sequence[str], runs: Sequence["Run"]) -> str:
    """The shortest end of the run's path that is unique among the runs with this name."""
    others = [other.path.parts for other, other_name in zip(runs, names, strict=True) if other_name == name]
    parts = run.path.parts
    for length in range(1, len(parts) + 1):
        if sum(other[-length:] == parts[-length:] for other in others) == 1:
            return "/".join(parts[-length:])
    return "/".join(parts[-2:])
