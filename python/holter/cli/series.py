"""The argument PATTERN: which series of a run are meant, and where none is, which there are."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from holter.cli.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    import holter

__all__ = ["chosen_names", "chosen_series", "in_order"]

NUM_SEARCHED = 10_000
NUM_NAMED = 5


def chosen_series(run: holter.Run, patterns: Sequence[str]) -> list[holter.SeriesFacts]:
    """Return the series that match any of the patterns, each once, in the order of the patterns and then `in_order`.

    Raises:
        Problem: If a pattern matches none.
    """
    chosen: dict[str, holter.SeriesFacts] = {}
    for pattern in patterns:
        found = run.facts(pattern)
        if not found:
            raise _no_match(run, pattern)
        for series in in_order(found):
            chosen.setdefault(series.name, series)
    return list(chosen.values())


def in_order(series: Sequence[holter.SeriesFacts]) -> list[holter.SeriesFacts]:
    """Return the series as people count: `layer_2` before `layer_10`."""
    from holter.analysis import natural_key

    return sorted(series, key=lambda one: natural_key(one.name))


def chosen_names(runs: Sequence[holter.Run], patterns: Sequence[str]) -> list[str]:
    """Return the names of the series that match any of the patterns in any of the runs, each once.

    Raises:
        Problem: If a pattern matches none in any run.
    """
    from holter.analysis import natural_key

    chosen: dict[str, None] = {}
    for pattern in patterns:
        found = {name for run in runs for name in run.names(pattern)}
        if not found:
            raise _no_match(runs[0], pattern)
        chosen.update(dict.fromkeys(sorted(found, key=natural_key)))
    return list(chosen)


def _no_match(run: holter.Run, pattern: str) -> Problem:
    names = run.names()
    cause = f"no series of {run.path} matches {pattern!r}"
    if not names:
        return Problem(f"{run.path} has no points yet", "`holter tail` waits for the first ones")
    searched = names[:NUM_SEARCHED]
    close = difflib.get_close_matches(pattern, searched, n=1) or [name for name in searched if pattern in name][:1]
    if close:
        return Problem(cause, f"did you mean {close[0]!r}? (a pattern such as '*loss*' matches parts of names)")
    some = ", ".join(names[:NUM_NAMED])
    return Problem(cause, f"it has {len(names)} series: {some}{', …' if len(names) > NUM_NAMED else ''}")
