"""Reads the points of event files in batches, so that a file of any size takes little memory.

The core decodes the files (rust/holter/src/event_files). Damage is reported with its offset, and the rest is read.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from holter import _core

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import numpy.typing as npt

__all__ = ["Batch", "Damage", "event_files", "find", "read"]


@dataclass(frozen=True)
class Damage:
    """Something in a file that could not be read.

    Attributes:
        path: The file.
        offset: Where the record starts, in bytes.
        reason: What is wrong.
    """

    path: Path
    offset: int
    reason: str

    def __str__(self) -> str:
        return f"{self.path}, byte {self.offset}: {self.reason}"


@dataclass(frozen=True, eq=False)
class Batch:
    """Points of one file in its order, and what could not be read between them.

    Attributes:
        path: The file.
        names: The tags of the points, all valid names of series.
        codes: The index of each point's tag in `names`, shape (n,).
        steps: Shape (n,). A repeated step replaces the earlier value.
        values: Shape (n,), float64; most files hold float32.
        times: When each point was logged, in seconds since the Unix epoch, shape (n,), as the file states it.
        damage: Damaged records, and points whose tag is not a valid name, by offset.
        skipped: The number of events and values that are not scalars, by kind.
        bytes_read: The offset up to which the file has been read.
    """

    path: Path
    names: tuple[str, ...]
    codes: npt.NDArray[np.int64]
    steps: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    times: npt.NDArray[np.float64]
    damage: tuple[Damage, ...]
    skipped: Mapping[str, int]
    bytes_read: int

    def __len__(self) -> int:
        return len(self.codes)

    def series(
        self,
    ) -> Iterator[tuple[str, npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
        """Yield the name, steps, values and times of each tag."""
        order = np.argsort(self.codes, kind="stable")
        bounds = np.searchsorted(self.codes[order], np.arange(len(self.names) + 1))
        for name, start, stop in zip(self.names, bounds[:-1], bounds[1:], strict=True):
            chosen = order[start:stop]
            yield name, self.steps[chosen], self.values[chosen], self.times[chosen]


def find(root: str | os.PathLike[str]) -> dict[str, list[Path]]:
    """Return the event files at or below a directory, by run: a run is a directory, named as TensorBoard names it.

    Symbolic links are not followed. A run's files are in the order of their creation.

    Raises:
        FileNotFoundError: There is no such directory.
    """
    if not Path(root).is_dir():
        raise FileNotFoundError(f"no such directory: {os.fspath(root)!r}")
    runs = {}
    for directory, below, _ in os.walk(root):
        below.sort()
        files = event_files(Path(directory))
        if files:
            runs[str(Path(directory).relative_to(root))] = files
    return runs


def event_files(directory: Path) -> list[Path]:
    """Return the event files in a directory, by TensorBoard's rule, in the order of their creation."""
    return sorted(
        path for path in directory.iterdir() if "tfevents" in path.name and path.is_file() and not path.is_symlink()
    )


def read(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> Iterator[Batch]:
    """Read the scalars of event files, each as far as it extends when it is opened.

    Damage is reported in the batches, and the rest is read. Memory is bounded regardless of the contents.

    Args:
        paths: A file, a directory of event files, or several of them.

    Raises:
        OSError: A file cannot be read.
        ValueError: A path is neither a regular file nor a directory.
    """
    paths = [paths] if isinstance(paths, (str, os.PathLike)) else paths
    for path in map(Path, paths):
        for file in event_files(path) if path.is_dir() else [path]:
            for names, columns, damage, skipped, bytes_read in _core.EventReader(file):
                codes, steps, values, times = columns
                yield Batch(
                    path=file,
                    names=tuple(names),
                    codes=np.frombuffer(codes, np.int64),
                    steps=np.frombuffer(steps, np.int64),
                    values=np.frombuffer(values, np.float64),
                    times=np.frombuffer(times, np.float64),
                    damage=tuple(Damage(file, offset, reason) for offset, reason in damage),
                    skipped=skipped,
                    bytes_read=bytes_read,
                )
