"""What every reader gives: sources, each a run, and their points in batches with what could not be read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["Batch", "Fault", "Gathering", "Source"]


@dataclass(frozen=True)
class Fault:
    """Something in a file that could not be read.

    Attributes:
        path: The file.
        place: Where in it, such as `line 12` or `byte 4096`.
        reason: What is wrong.
    """

    path: Path
    place: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}, {self.place}: {self.reason}"


@dataclass(frozen=True)
class Batch:
    """Points in the order in which they stand in a file, and what could not be read between them.

    Attributes:
        points: Names, steps and values; the names are fit for series and the steps for 64 bits.
        faults: What could not be read.
        left_out: How much there was of what is no number, by kind.
        bytes_read: How far the reading of the source has come.
    """

    points: Iterable[tuple[str, int, float]]
    faults: Sequence[Fault]
    left_out: Mapping[str, int]
    bytes_read: int


@dataclass(frozen=True)
class Source:
    """Files that hold one run.

    Attributes:
        name: What to call the run.
        kind: Its format, one of `KINDS`.
        paths: The files.
        num_bytes: How large they are.
        read: Reads the points anew.
        config: Reads the configuration; it is empty where a format has none.
    """

    name: str
    kind: str
    paths: tuple[Path, ...]
    num_bytes: int
    read: Callable[[], Iterator[Batch]] = field(repr=False)
    config: Callable[[], dict[str, Any]] = field(default=dict, repr=False)


class Gathering:
    """A batch that is being gathered from a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.points: list[tuple[str, int, float]] = []
        self.faults: list[Fault] = []
        self.left_out: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self.points) + len(self.faults)

    def report(self, place: str, reason: str) -> None:
        """Note what cannot be read."""
        self.faults.append(Fault(self.path, place, reason))

    def take(self, bytes_read: int) -> Batch:
        """Return what was gathered, and begin anew."""
        batch = Batch(self.points, self.faults, self.left_out, bytes_read)
        self.points, self.faults, self.left_out = [], [], Counter()
        return batch
