"""The ranks of a run read as one run, or a single rank.

A series is read from the lowest rank that has it. Each call includes ranks that have started since the last one. Ranks
are read independently: nothing is locked or shared.
"""

import contextlib
import operator
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import SupportsIndex, TypeAlias, TypeVar

from holter import _core
from holter.exceptions import HolterError

__all__ = ["BucketColumns", "Ranks", "listed", "opened"]

T = TypeVar("T")

Facts: TypeAlias = tuple[str, int, int, int, int, float, float | None, int | None, float | None, int | None]
BucketColumns: TypeAlias = tuple[int, list[tuple[str, list[bytearray]]]]
"""The width of the buckets, and the name and columns of each series."""

_STATUSES = ("running", "crashed", "failed", "interrupted", "stopped", "finished")
"""The statuses of ranks; a run has the first of them that any of its ranks has."""


class Ranks:
    """The readers of a run's ranks, each opened on first use.

    A `rank` argument selects a single rank, and None all of them. A rank that has recorded nothing raises
    FileNotFoundError.

    Args:
        path: The directory of the run, or of the single rank.
        reader: The reader of one rank.
        is_alone: Whether to read this rank only.
    """

    __slots__ = ("_is_alone", "_readers", "path")

    def __init__(self, path: pathlib.Path, reader: _core.Reader, *, is_alone: bool = False) -> None:
        self.path = path
        self._readers = {reader.rank: reader}
        self._is_alone = is_alone

    def numbers(self) -> list[int]:
        """Return the ranks that have recorded so far, ascending."""
        if self._is_alone:
            return list(self._readers)
        return sorted({*self._readers, *_core.ranks(self.path)})

    def lowest(self) -> _core.Reader:
        """Return the reader of the lowest readable rank, which represents the run. Never raises."""
        known = min(self._readers)
        if known > 0 and not self._is_alone:
            # A listed run has a name even if a lower rank cannot be read; reading its points raises the error.
            with contextlib.suppress(OSError, HolterError):
                for number in _core.ranks(self.path):
                    with contextlib.suppress(OSError, HolterError):
                        return self._reader(number)
        return self._readers[known]

    def alone(self, rank: SupportsIndex) -> "Ranks":
        """Return a single rank."""
        reader = self._reader(operator.index(rank))
        return Ranks(reader.path, reader, is_alone=True)

    def readers(self, rank: SupportsIndex | None = None) -> Iterator[_core.Reader]:
        """Yield the readers, lowest rank first."""
        if rank is not None:
            yield self._reader(operator.index(rank))
            return
        first = None if self._is_alone else self._readers.get(0)
        if first is not None:
            yield first  # most calls end here, before the directory is listed
        for number in self.numbers():
            if first is None or number > 0:
                yield self._reader(number)

    def first(self, read: Callable[[_core.Reader], T], rank: SupportsIndex | None) -> T:
        """Return the result of the lowest rank that has the series.

        Raises:
            KeyError: If no rank has it.
        """
        for reader in self.readers(rank):
            try:
                return read(reader)
            except KeyError:  # noqa: PERF203  usually the first rank has it
                continue
        raise KeyError

    def names(self, pattern: str, rank: SupportsIndex | None) -> list[str]:
        """Return the names of the series of all ranks, sorted by code point."""
        return sorted({name for reader in self.readers(rank) for name in reader.names(pattern)})

    def facts(self, pattern: str, rank: SupportsIndex | None) -> list[Facts]:
        """Return the facts of each series from the lowest rank that has it, sorted by name."""
        found: dict[str, Facts] = {}
        for reader in self.readers(rank):
            for facts in reader.facts(pattern):
                found.setdefault(facts[0], facts)
        return [found[name] for name in sorted(found)]

    def buckets(
        self,
        names: Sequence[str] | str,
        width: int | None,
        max_buckets: int,
        bounds: tuple[int | None, int | None],
        rank: SupportsIndex | None,
    ) -> BucketColumns:
        """Return the buckets of each series from the lowest rank that has it: as `Reader.buckets`.

        `names` is a pattern if it is a str. Without a width, the widest that any of these ranks chooses is used.

        Raises:
            KeyError: If no rank has a series of one of the names.
        """
        readers = list(self.readers(rank))
        if len(readers) == 1:
            chosen = names if isinstance(names, str) else list(names)
            return readers[0].buckets(chosen, width, max_buckets, bounds)
        owned = _owned(readers, names)

        def read(reader: _core.Reader, width: int | None) -> BucketColumns:
            return reader.buckets(owned[reader], width, max_buckets, bounds)

        results = {reader: read(reader, width) for reader in owned}
        widest = max((found for found, _ in results.values()), default=width or 1)
        found: dict[str, list[bytearray]] = {}
        for reader, result in results.items():
            found.update((result if result[0] == widest else read(reader, widest))[1])
        return widest, [(name, found[name]) for name in (sorted(found) if isinstance(names, str) else names)]

    def status(self) -> str:
        """Return the first of the statuses, in the order above, that any rank has."""
        statuses = {reader.status() for reader in self.readers()}
        return next((status for status in _STATUSES if status in statuses), min(statuses))

    def is_live(self) -> bool:
        """Return whether a process records any rank."""
        return any(reader.is_live() for reader in self.readers())

    def revision(self) -> str:
        """Return an opaque token that changes whenever a rank has something new, or starts."""
        return "|".join([reader.revision() for reader in self.readers()])

    def _reader(self, number: int) -> _core.Reader:
        known = self._readers.get(number)
        if known is not None:
            return known
        if self._is_alone or not 0 <= number < 1 << 31:
            raise FileNotFoundError(f"{self.path} has no rank {number}; ranks are {self.numbers()}")
        return self._readers.setdefault(number, _core.open_rank(self.path, number))


def opened(path: str | os.PathLike[str]) -> Ranks:
    """Return the run in the directory `path`, or the single rank if it is the directory of a rank.

    Raises:
        FileNotFoundError: If no rank has recorded there.
        FormatVersionError: If a newer version of Holter wrote it.
        StoreError: If the manifest of the lowest rank is damaged.
    """
    try:
        reader = _core.Reader(path)
    except FileNotFoundError as error:
        missing = error
    else:
        return Ranks(reader.path, reader, is_alone=reader.rank > 0)
    numbers = _core.ranks(path) if pathlib.Path(path).is_dir() else []
    if not numbers:
        raise missing
    return Ranks(pathlib.Path(path), _core.open_rank(path, numbers[0]))


def listed(reader: _core.Reader, root: str | os.PathLike[str]) -> Ranks:
    """Return the run of a rank, which is the lowest of the run found at or below `root`."""
    if reader.rank == 0:
        return Ranks(reader.path, reader)
    if reader.path.name != f"rank-{reader.rank:05}" or reader.path == pathlib.Path(root):
        return Ranks(reader.path, reader, is_alone=True)  # the directory of a single rank
    return Ranks(reader.path.parent, reader)


def _owned(readers: list[_core.Reader], names: Sequence[str] | str) -> dict[_core.Reader, list[str]]:
    """Return the series to read from each rank."""
    owners: dict[str, _core.Reader] = {}
    for reader in readers:
        for name in reader.names(names if isinstance(names, str) else "*"):
            owners.setdefault(name, reader)
    owned: dict[_core.Reader, list[str]] = {}
    for name in owners if isinstance(names, str) else dict.fromkeys(names):
        owned.setdefault(owners[name], []).append(name)
    return owned
