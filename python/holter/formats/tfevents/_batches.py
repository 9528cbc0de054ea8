"""The points of event files, in batches of some ten thousand: streamed, so that a file of any size takes little memory.

What is damaged is reported with its place, and everything around it is read.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from holter.formats.tfevents._columns import Columns, Names
from holter.formats.tfevents._records import Chunk, Damage, read_chunks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import numpy.typing as npt

__all__ = ["Batch", "find", "read"]


@dataclass(frozen=True, eq=False)
class Batch:
    """Points of one file in the order in which they stand there, and what could not be read between them.

    Attributes:
        path: the file.
        names: the tags that occur, all of them fit to name a series.
        codes: which of the names each point belongs to, shape (n,).
        steps: shape (n,). A step that comes again replaces the earlier value.
        values: shape (n,), float64; most files hold float32.
        times: when each was logged, in seconds since 1970, shape (n,); whatever the file says.
        damage: what is damaged, or has a tag that can name no series.
        left_out: how many events there were of what holds no scalars, by kind.
        bytes_read: how far into the file the reading has come.
    """

    path: Path
    names: tuple[str, ...]
    codes: npt.NDArray[np.int64]
    steps: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    times: npt.NDArray[np.float64]
    damage: tuple[Damage, ...]
    left_out: Mapping[str, int]
    bytes_read: int

    def __len__(self) -> int:
        return len(self.codes)

    def series(
        self,
    ) -> Iterator[tuple[str, npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
        """The points of each tag: its name, steps, values and times."""
        order = np.argsort(self.codes, kind="stable")
        bounds = np.searchsorted(self.codes[order], np.arange(len(self.names) + 1))
        for name, start, stop in zip(self.names, bounds[:-1], bounds[1:], strict=True):
            chosen = order[start:stop]
            yield name, self.steps[chosen], self.values[chosen], self.times[chosen]


def find(root: str | os.PathLike[str]) -> dict[str, list[Path]]:
    """The event files at or below a directory, by run: a run is a directory, named as TensorBoard names it.

    Symbolic links are not followed. A run's files are in the order in which they were begun.

    Raises:
        FileNotFoundError: there is no such directory.
    """
    if not Path(root).is_dir():
        raise FileNotFoundError(f"there is no directory {os.fspath(root)!r} to look for event files in")
    runs = {}
    for directory, below, _ in os.walk(root):
        below.sort()
        files = event_files(Path(directory))
        if files:
            runs[str(Path(directory).relative_to(root))] = files
    return runs


def event_files(directory: Path) -> list[Path]:
    """The event files in a directory, by TensorBoard's rule, in the order in which they were begun."""
    return sorted(
        path for path in directory.iterdir() if "tfevents" in path.name and path.is_file() and not path.is_symlink()
    )


def read(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> Iterator[Batch]:
    """Read the scalars of event files.

    What is damaged is reported in the batches, and the rest is read. Memory is bounded, and time by the files' sizes,
    whatever is in them.

    Args:
        paths: a file; a directory, which stands for the event files in it; or several of them.

    Raises:
        OSError: a file cannot be read.
        ValueError: a path is neither a file nor a directory.
    """
    paths = [paths] if isinstance(paths, (str, os.PathLike)) else paths
    for path in map(Path, paths):
        for file in event_files(path) if path.is_dir() else [path]:
            names = Names()
            for chunk in read_chunks(file):
                yield _batch(file, chunk, names)


def _batch(path: Path, chunk: Chunk, names: Names) -> Batch:
    columns = Columns(chunk, names)
    points = columns.joined()
    damage = [*chunk.damage, *(chunk.damaged(path, start, reason) for start, reason in columns.damage)]
    left_out = columns.left_out
    if chunk.num_passed_over:
        left_out["records too long for a scalar"] += chunk.num_passed_over
    used, codes = np.unique(points.codes, return_inverse=True)
    return Batch(
        path=path,
        names=tuple(names.texts[code] for code in used.tolist()),
        codes=codes.astype(np.int64),
        steps=points.steps,
        values=points.values,
        times=points.times,
        damage=tuple(sorted(damage, key=lambda one: one.offset)),
        left_out=left_out,
        bytes_read=chunk.end,
    )
