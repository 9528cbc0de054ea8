"""The argument PATTERN: the series that match, or an error that suggests one."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from holter._text import counted
from holter.cli.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    import holter

__all__ = ["in_natural_order", "matching_names", "matching_series"]

MAX_SEARCHED = 10_000
MAX_LISTED = 5


def matching_series(run: holter.Run, patterns: Sequence[str]) -> list[holter.SeriesFacts]:
    """Return the series that match any pattern, each once, in the order of the patterns and then in natural order.

    Raises:
        Problem: If a pattern matches none.
    """
    matching: dict[str, holter.SeriesFacts] = {}
    for pattern in patterns:
        found = run.facts(pattern)
        if not found:
            raise _no_match(run, pattern)
        for series in in_natural_order(found):
            matching.setdefault(series.name, series)
    return list(matching.values())


def in_natural_order(series: Sequence[holter.SeriesFacts]) -> list[holter.SeriesFacts]:
    """Return the series with `layer_2` before `layer_10`."""
    from holter.analysis import natural_key

    return sorted(series, key=lambda facts: natural_key(facts.name))


def matching_names(runs: Sequence[holter.Run], patterns: Sequence[str]) -> list[str]:
    """Return the names of the series that match any pattern in any run, each once.

    Raises:
        Problem: If a pattern matches none in any run.
    """
    from holter.analysis import natural_key

    matching: dict[str, None] = {}
    for pattern in patterns:
        found = {name for run in runs for name in run.names(pattern)}
        if not found:
            raise _no_match(runs[0], pattern)
        matching.update(dict.fromkeys(sorted(found, key=natural_key)))
    return list(matching)


def _no_match(run: holter.Run, pattern: str) -> Problem:
    names = run.names()
    cause = f"no series of {run.path} match {pattern!r}"
    if not names:
        return Problem(f"{run.path} has no points yet", "`holter tail` waits for them")
    searched = names[:MAX_SEARCHED]
    close = difflib.get_close_matches(pattern, searched, n=1) or [name for name in searched if pattern in name][:1]
    if close:
        return Problem(cause, f"did you mean {close[0]!r}? (a pattern such as '*loss*' matches parts of names)")
    listed = ", ".join(names[:MAX_LISTED])
    more = ", …" if len(names) > MAX_LISTED else ""
    return Problem(cause, f"it has {counted(len(names), 'series', 'series')}: {listed}{more}")
