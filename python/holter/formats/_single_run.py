"""Rejects a file with points of several runs, which would be mixed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holter.formats._fields import quoted

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SingleRun"]


class SingleRun:
    """Checks that all rows of a file have the same run and rank."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._first: tuple[Any, Any] | None = None

    def check(self, run: Any, rank: Any) -> None:
        """Check one row.

        Raises:
            ValueError: Its run or rank differs from that of the first row.
        """
        if self._first is None:
            self._first = (run, rank)
            return
        for plural, first, this in (("runs", self._first[0], run), ("ranks", self._first[1], rank)):
            if this != first:
                raise ValueError(
                    f"{self._path} contains several {plural}, {quoted(first)} and {quoted(this)}; "
                    "split it into one file for each"
                )
