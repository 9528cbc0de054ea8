"""Refuses a file of points that belong to several runs: they would be mixed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holter.formats._fields import shown

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["OneRun"]


class OneRun:
    """Whether all rows of a file name the same run and rank, or none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._first: tuple[Any, Any] | None = None

    def check(self, run: Any, rank: Any) -> None:
        """Look at one row.

        Raises:
            ValueError: It is of another run, or of another rank, than the first one.
        """
        if self._first is None:
            self._first = (run, rank)
        elif self._first != (run, rank):
            (first, first_rank), (what, one, other) = self._first, ("runs", self._first[0], run)
            if first == run:
                what, one, other = "ranks", first_rank, rank
            raise ValueError(
                f"{self._path} holds several {what}, {shown(one)} and {shown(other)}; make a file of each to import it"
            )
