"""The result of reading a format: sources, each a run, and their points in batches with what could not be read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["Batch", "BatchBuilder", "Fault", "Source"]


@dataclass(frozen=True)
class Fault:
    """Something in a file that could not be read.

    Attributes:
        path: The file.
        location: Where in the file, such as `line 12` or `byte 4096`.
        reason: What is wrong.
    """

    path: Path
    location: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}, {self.location}: {self.reason}"


@dataclass(frozen=True)
class Batch:
    """Points in the order of the file, and what could not be read between them.

    Attributes:
        points: Names, steps and values; the names are valid for series, and the steps fit in 64 bits.
        faults: What could not be read.
        skipped: The number of values that are not numbers, by kind.
        bytes_read: How much of the source has been read.
    """

    points: Iterable[tuple[str, int, float]]
    faults: Sequence[Fault]
    skipped: Mapping[str, int]
    bytes_read: int


@dataclass(frozen=True)
class Source:
    """Files that contain one run.

    Attributes:
        name: A name for the run.
        kind: The format, one of `KINDS`.
        paths: The files.
        num_bytes: Their total size.
        read: Reads the points, from the start each time it is called.
        config: Reads the configuration; empty if the format has none.
    """

    name: str
    kind: str
    paths: tuple[Path, ...]
    num_bytes: int
    read: Callable[[], Iterator[Batch]] = field(repr=False)
    config: Callable[[], dict[str, Any]] = field(default=dict, repr=False)


class BatchBuilder:
    """Collects the points of a file for the next batch."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.points: list[tuple[str, int, float]] = []
        self.faults: list[Fault] = []
        self.skipped: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self.points) + len(self.faults)

    def report(self, location: str, reason: str) -> None:
        """Add a fault."""
        self.faults.append(Fault(self.path, location, reason))

    def build(self, bytes_read: int) -> Batch:
        """Return the batch, and start the next one."""
        batch = Batch(self.points, self.faults, self.skipped, bytes_read)
        self.points, self.faults, self.skipped = [], [], Counter()
        return batch
