"""The runs below a folder by path, ranks included. The folder is scanned at most once a second.

Requests are matched against the names found by a scan, so a client's text never becomes a path.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import holter

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

__all__ = ["Folder"]

_MAX_AGE_SECS: Final = 1.0
_MIN_PAUSE_FACTOR: Final = 2.0
"""Minimum pause after a scan, as a multiple of its duration."""


class Folder:
    """The served folder; thread-safe.

    Args:
        root: A folder of runs, or one run. It may appear later and disappear again.
        on_unreadable: Called with the path of a run that cannot be read and the reason, once for each pair.
    """

    def __init__(
        self, root: str | os.PathLike[str], on_unreadable: Callable[[Path, str], object] | None = None
    ) -> None:
        self.root = Path(root).absolute()
        self._on_unreadable = on_unreadable
        self._reported: set[tuple[Path, str]] = set()
        self._lock = threading.Lock()
        self._runs: dict[str, holter.Run] = {}
        self._fresh_until = -float("inf")

    def runs(self) -> dict[str, holter.Run]:
        """Return the runs by name, oldest first, from a recent scan."""
        with self._lock:
            start = time.monotonic()
            if start >= self._fresh_until:
                self._runs = self._scan()
                end = time.monotonic()
                self._fresh_until = end + max(_MAX_AGE_SECS, _MIN_PAUSE_FACTOR * (end - start))
            return self._runs

    def report(self, path: Path, reason: str) -> None:
        """Report a path that cannot be read, once for each reason."""
        if self._on_unreadable is not None and (path, reason) not in self._reported:
            self._reported.add((path, reason))
            self._on_unreadable(path, reason)

    def _scan(self) -> dict[str, holter.Run]:
        known = {run.path: (name, run) for name, run in self._runs.items()}
        found: dict[str, holter.Run] = {}
        for run in self._members():
            name, same = known.get(run.path, ("", run))
            try:
                is_same = bool(name) and same.id == run.id
            except (OSError, holter.HolterError) as error:
                self.report(run.path, str(error))
                continue
            # Keep the previous object, which caches what it has read of the journal.
            found[name if is_same else self._free_name(run.path, found)] = same if is_same else run
        return found

    def _members(self) -> list[holter.Run]:
        """Return the runs and their ranks, oldest first."""
        try:
            runs = holter.list_runs(self.root, on_unreadable=self.report)
        except FileNotFoundError:
            return []  # the folder may appear later
        except (OSError, holter.HolterError) as error:
            self.report(self.root, str(error))
            return []
        members: list[holter.Run] = []
        for run in runs:
            try:
                members.extend(run.open_rank(rank) for rank in run.ranks)  # keeps the ranks before a failing one
            except (OSError, holter.HolterError) as error:  # noqa: PERF203  other runs are still shown
                self.report(run.path, str(error))
        return members

    def _free_name(self, path: Path, taken: dict[str, holter.Run]) -> str:
        relative = path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else path.as_posix()
        # A path can contain bytes that are not valid Unicode, which protobuf rejects.
        name = (self.root.name or "run" if relative == "." else relative).encode("utf-8", "replace").decode("utf-8")
        while name in taken:
            name += "~"
        return name
