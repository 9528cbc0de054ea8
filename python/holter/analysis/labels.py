"""What runs are called side by side."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from holter.analysis._texts import visible

if TYPE_CHECKING:
    from holter import Run


def run_labels(runs: Sequence["Run"]) -> list[str]:
    """Return the runs' names; where two share one, with as much of their paths as tells them apart, else numbered."""
    names = [visible(run.name) for run in runs]
    labels = [
        name if names.count(name) == 1 else f"{name} ({visible(_distinct(run, name, names, runs))})"
        for run, name in zip(runs, names, strict=True)
    ]
    seen: Counter[str] = Counter()
    unique = []
    for label in labels:
        seen[label] += 1
        while seen[label] > 1 and f"{label} #{seen[label]}" in labels:
            seen[label] += 1
        unique.append(label if seen[label] == 1 else f"{label} #{seen[label]}")
    return unique


def _distinct(run: "Run", name: str, names: Sequence[str], runs: Sequence["Run"]) -> str:
    """The shortest end of the run's path that no other run of this name has."""
    others = [other.path.parts for other, other_name in zip(runs, names, strict=True) if other_name == name]
    parts = run.path.parts
    for length in range(1, len(parts) + 1):
        if sum(other[-length:] == parts[-length:] for other in others) == 1:
            return "/".join(parts[-length:])
    return "/".join(parts[-2:])
