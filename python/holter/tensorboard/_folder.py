"""The runs below a folder, as TensorBoard names them: by their path, ranks included; looked for once a second at most.

A run is only ever looked up by a name that was found by looking, so that no text of a client becomes a path.
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
_REST: Final = 2.0
"""A look that takes long is not repeated before so many times as long have gone by."""


class Folder:
    """The folder that is served. May be used by several threads at once.

    Args:
        root: A folder that holds runs, or one run. It need not be there yet, nor stay there.
        on_unreadable: Called once for each run that cannot be read and each reason: with its path, and the reason.
    """

    def __init__(
        self, root: str | os.PathLike[str], on_unreadable: Callable[[Path, str], object] | None = None
    ) -> None:
        self.root = Path(root).absolute()
        self._on_unreadable = on_unreadable
        self._told: set[tuple[Path, str]] = set()
        self._looking = threading.Lock()
        self._runs: dict[str, holter.Run] = {}
        self._fresh_until = -float("inf")

    def runs(self) -> dict[str, holter.Run]:
        """Return the runs by name, the oldest first, as they were found within the last second."""
        with self._looking:
            begun = time.monotonic()
            if begun >= self._fresh_until:
                self._runs = self._look()
                ended = time.monotonic()
                self._fresh_until = ended + max(_MAX_AGE_SECS, _REST * (ended - begun))
            return self._runs

    def tell(self, path: Path, reason: str) -> None:
        """Tell of what cannot be read, once."""
        if self._on_unreadable is not None and (path, reason) not in self._told:
            self._told.add((path, reason))
            self._on_unreadable(path, reason)

    def _look(self) -> dict[str, holter.Run]:
        known = {run.path: (name, run) for name, run in self._runs.items()}
        found: dict[str, holter.Run] = {}
        for run in self._members():
            name, same = known.get(run.path, ("", run))
            try:
                is_same = bool(name) and same.id == run.id
            except (OSError, holter.HolterError) as error:
                self.tell(run.path, str(error))
                continue
            # The one from before remembers what it has read of the journal.
            found[name if is_same else self._free_name(run.path, found)] = same if is_same else run
        return found

    def _members(self) -> list[holter.Run]:
        """The runs and their ranks, the oldest first."""
        try:
            runs = holter.list_runs(self.root, on_unreadable=self.tell)
        except FileNotFoundError:
            return []  # there may be runs later
        except (OSError, holter.HolterError) as error:
            self.tell(self.root, str(error))
            return []
        members: list[holter.Run] = []
        for run in runs:
            try:
                members.extend(run.open_rank(rank) for rank in run.ranks)  # those before one that fails are kept
            except (OSError, holter.HolterError) as error:  # noqa: PERF203  the other runs are shown
                self.tell(run.path, str(error))
        return members

    def _free_name(self, path: Path, taken: dict[str, holter.Run]) -> str:
        relative = path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else path.as_posix()
        # A path may have bytes that are not Unicode, which protobuf would refuse.
        name = (self.root.name or "run" if relative == "." else relative).encode("utf-8", "replace").decode("utf-8")
        while name in taken:
            name += "~"
        return name
