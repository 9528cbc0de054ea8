"""The ranks of a run read as one run, or one rank of it alone.

A question about a series is answered by the lowest rank that has it. Ranks that begin to record while the run is
open are seen by the next question. Each is read as if it were alone: nothing is locked, and nothing shared.
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

Facts: TypeAlias = tuple[str, int, int, int, int, float]
BucketColumns: TypeAlias = tuple[int, list[tuple[str, list[bytearray]]]]
"""The width of the buckets; of each series its name and its columns."""

_STATUSES = ("running", "crashed", "failed", "finished")
"""What the ranks of a run may be, the one that the run is named after first."""


class Ranks:
    """The readers of a run's ranks, each opened when it is first asked.

    `rank`, where a method takes it, names the only one to be asked, and None stands for all of them. Who asks for a
    rank that has recorded nothing gets a FileNotFoundError.

    Args:
        path: The directory of the run, or of the rank that stands alone.
        reader: The rank that is known already.
        is_alone: Whether to leave all others out.
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
        """Return the reader of the lowest rank that can be read, which speaks for the run. Never raises."""
        known = min(self._readers)
        if known > 0 and not self._is_alone:
            # A run that is listed has a name, whatever keeps a lower rank from being read: who asks for points is told.
            with contextlib.suppress(OSError, HolterError):
                for number in _core.ranks(self.path):
                    with contextlib.suppress(OSError, HolterError):
                        return self._reader(number)
        return self._readers[known]

    def alone(self, rank: SupportsIndex) -> "Ranks":
        """Return one rank without the others."""
        reader = self._reader(operator.index(rank))
        return Ranks(reader.path, reader, is_alone=True)

    def readers(self, rank: SupportsIndex | None = None) -> Iterator[_core.Reader]:
        """Yield the readers to ask, that of the lowest rank first."""
        if rank is not None:
            yield self._reader(operator.index(rank))
            return
        first = None if self._is_alone else self._readers.get(0)
        if first is not None:
            yield first  # most questions end here, and no directory was listed for them
        for number in self.numbers():
            if first is None or number > 0:
                yield self._reader(number)

    def first(self, read: Callable[[_core.Reader], T], rank: SupportsIndex | None) -> T:
        """Return what the lowest rank says that knows the series.

        Raises:
            KeyError: If none does.
        """
        for reader in self.readers(rank):
            try:
                return read(reader)
            except KeyError:  # noqa: PERF203  mostly the first has it
                continue
        raise KeyError

    def names(self, pattern: str, rank: SupportsIndex | None) -> list[str]:
        """Return the names of the series that any rank has, in the order of their code points."""
        return sorted({name for reader in self.readers(rank) for name in reader.names(pattern)})

    def facts(self, pattern: str, rank: SupportsIndex | None) -> list[Facts]:
        """Return of each series what the lowest rank says that has it, by name."""
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

        `names` is a pattern if it is a str. Where the width is left open it is the widest that one of these ranks
        would choose.

        Raises:
            KeyError: If no rank has a series of one of the names.
        """
        readers = list(self.readers(rank))
        if len(readers) == 1:
            asked = names if isinstance(names, str) else list(names)
            return readers[0].buckets(asked, width, max_buckets, bounds)
        owned = _owned(readers, names)

        def ask(reader: _core.Reader, width: int | None) -> BucketColumns:
            return reader.buckets(owned[reader], width, max_buckets, bounds)

        answers = {reader: ask(reader, width) for reader in owned}
        widest = max((found for found, _ in answers.values()), default=width or 1)
        found: dict[str, list[bytearray]] = {}
        for reader, answer in answers.items():
            found.update((answer if answer[0] == widest else ask(reader, widest))[1])
        return widest, [(name, found[name]) for name in (sorted(found) if isinstance(names, str) else names)]

    def status(self) -> str:
        """Return "running" if any rank is, else "crashed" if any has, else "failed" if any has, else "finished"."""
        statuses = {reader.status() for reader in self.readers()}
        return next((status for status in _STATUSES if status in statuses), min(statuses))

    def is_live(self) -> bool:
        """Return whether a process records any rank."""
        return any(reader.is_live() for reader in self.readers())

    def revision(self) -> str:
        """Return a word that changes whenever a rank has something new, or begins."""
        return "|".join([reader.revision() for reader in self.readers()])

    def _reader(self, number: int) -> _core.Reader:
        known = self._readers.get(number)
        if known is not None:
            return known
        if self._is_alone or not 0 <= number < 1 << 31:
            raise FileNotFoundError(f"{self.path} has no rank {number}; ranks are {self.numbers()}")
        return self._readers.setdefault(number, _core.open_rank(self.path, number))


def opened(path: str | os.PathLike[str]) -> Ranks:
    """Return the run in the directory `path`, or the rank whose own directory it is.

    Raises:
        FileNotFoundError: If no rank has recorded there.
        FormatVersionError: If a newer Holter wrote it.
        StoreError: If its manifest is damaged, or that of the lowest rank where rank 0 has none.
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
    """Return the run that a rank belongs to, which was found as the run's lowest at or below `root`."""
    if reader.rank == 0:
        return Ranks(reader.path, reader)
    if reader.path.name != f"rank-{reader.rank:05}" or reader.path == pathlib.Path(root):
        return Ranks(reader.path, reader, is_alone=True)  # a rank's directory by itself
    return Ranks(reader.path.parent, reader)


def _owned(readers: list[_core.Reader], names: Sequence[str] | str) -> dict[_core.Reader, list[str]]:
    """Which series to ask each rank for."""
    owners: dict[str, _core.Reader] = {}
    for reader in readers:
        for name in reader.names(names if isinstance(names, str) else "*"):
            owners.setdefault(name, reader)
    owned: dict[_core.Reader, list[str]] = {}
    for name in owners if isinstance(names, str) else dict.fromkeys(names):
        owned.setdefault(owners[name], []).append(name)
    return owned
