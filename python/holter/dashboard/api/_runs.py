"""The runs below the root: found by scanning it, at most once a second however many clients ask.

A run is only ever looked up by an id that a scan gave out, so that no text of a client becomes a path. What cannot
be read is listed as a problem with its reason, and hides no other run.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import holter
from holter import Run
from holter.dashboard.api._info import Described, describe
from holter.dashboard.api._text import printable
from holter.dashboard.http._errors import Refused

__all__ = ["Entry", "Listing", "RunFolder", "reading"]

MAX_LISTED: Final = 4096
MAX_RANKS: Final = 64
_REST: Final = 2.0


@dataclass(frozen=True, slots=True)
class Entry:
    """A run that a scan found.

    Attributes:
        id: Its path relative to the root; what clients call it by.
        run: The run, to be read.
        name: What users call it.
        colour: Its number in the palette; stays the same as long as the server runs.
        revision: `run.revision` at the scan.
        status: `run.status` at the scan.
        described: What there is to say of it.
    """

    id: str
    run: Run
    name: str
    colour: int
    revision: str
    status: str
    described: Described

    def to_dict(self, now: float) -> dict[str, Any]:
        """Return what the list of runs says of it."""
        is_live = self.status == "running"
        return {
            "id": self.id,
            "name": self.name,
            "color": self.colour,
            "rank": self.run.rank,
            "status": self.status,
            "is_live": is_live,
            "revision": self.revision,
            **self.described.at(now, is_live=is_live),
        }


@dataclass(frozen=True, slots=True)
class Listing:
    """What one scan found: the runs, the oldest first, and what could not be read, with its reason."""

    entries: dict[str, Entry]
    problems: tuple[tuple[str, str], ...]

    @property
    def signature(self) -> object:
        """Something that differs from the last listing's if, and only if, the list looks different."""
        return tuple((entry.id, entry.name, entry.status) for entry in self.entries.values()), self.problems


class RunFolder:
    """The folder that is served. May be used by several threads at once.

    Args:
        root: A folder that holds runs, or one run. It need not be there, nor stay there.
        max_age_secs: How old a scan may be that is answered from; twice as long as a scan takes if that is more.
    """

    def __init__(self, root: str | os.PathLike[str], *, max_age_secs: float = 1.0) -> None:
        self.root = Path(root).absolute()
        self._max_age_secs = max_age_secs
        self._scanning = threading.Lock()
        self._listing: Listing | None = None
        self._fresh_until = -float("inf")
        self._colours: dict[str, int] = {}
        self._left: dict[str, str] = {}  # what was there in an earlier scan, and why it is not in the list

    @property
    def name(self) -> str:
        """What the page calls the folder."""
        return printable(self.root.name or str(self.root))

    def listing(self) -> Listing:
        """Return the runs as they were found within the last second."""
        if self._listing is not None and time.monotonic() < self._fresh_until:
            return self._listing
        # While another thread scans a slow disk, an older listing is a better answer than none.
        if not self._scanning.acquire(blocking=self._listing is None):
            assert self._listing is not None  # noqa: S101  for the type checker: it was there when we asked
            return self._listing
        try:
            if self._listing is None or time.monotonic() >= self._fresh_until:
                begun = time.monotonic()
                self._listing = self._scan(self._listing)
                ended = time.monotonic()
                rest = _REST * (ended - begun) if self._max_age_secs else 0.0
                self._fresh_until = ended + max(self._max_age_secs, rest)
            return self._listing
        finally:
            self._scanning.release()

    def look_up(self, run_id: str) -> Entry | str:
        """Return a run that a scan found, or why it is there no more.

        Raises:
            Refused: 404 if no scan has found it.
        """
        entry = self.listing().entries.get(run_id)
        if entry is None:
            if run_id in self._left:
                return self._left[run_id]
            raise Refused(
                404, f"there is no run {run_id[:200]!r} below {self.name!r}; /api/v1/runs lists those there are"
            )
        return entry if entry.run.path.is_dir() else _deleted(entry)

    def get(self, run_id: str) -> Entry:
        """Return a run that a scan found.

        Raises:
            Refused: 404 if no scan has found it, 410 if it was deleted or cannot be read any more.
        """
        found = self.look_up(run_id)
        if isinstance(found, str):
            raise Refused(410, found)
        return found

    def get_all(self, run_ids: Sequence[str]) -> list[Entry]:
        """Return several runs in this order; as `get`."""
        return [self.get(run_id) for run_id in run_ids]

    def _scan(self, last: Listing | None) -> Listing:
        real_root = Path(os.path.realpath(self.root))
        problems: list[tuple[str, str]] = []
        entries: dict[str, Entry] = {}
        known = {} if last is None else {entry.run.path: entry for entry in last.entries.values()}

        def tell(path: Path, reason: str) -> None:
            problems.append((_relative(path, self.root), printable(reason)))

        for run in self._found(tell):
            entry = self._entry(run, known.get(run.path), real_root, entries, tell)
            if entry is not None:
                entries[entry.id] = entry
        self._remember_the_left(last, entries, dict(problems))
        return Listing(entries, tuple(problems))

    def _found(self, tell: Callable[[Path, str], None]) -> Iterator[Run]:
        """The runs and their ranks, the oldest first."""
        try:
            runs = holter.list_runs(self.root, on_unreadable=tell)
        except (OSError, holter.HolterError) as error:
            tell(self.root, _why_no_folder(self.root, error))
            return
        if len(runs) > MAX_LISTED:
            tell(self.root, f"it holds {len(runs)} runs; the newest {MAX_LISTED} are shown")
        for run in runs[-MAX_LISTED:]:
            try:
                lowest, *others = run.ranks
            except FileNotFoundError:
                continue  # deleted meanwhile
            except (OSError, holter.HolterError) as error:
                tell(run.path, str(error))
                continue
            if len(others) > MAX_RANKS:
                tell(run.path, f"it has {len(others)} more ranks; the first {MAX_RANKS} of them are shown")
            for rank in (lowest, *others[:MAX_RANKS]):
                with _told(run.path, f"rank {rank} cannot be read: ", tell):
                    yield run.open_rank(rank)

    def _entry(
        self,
        run: Run,
        known: Entry | None,
        real_root: Path,
        entries: dict[str, Entry],
        tell: Callable[[Path, str], None],
    ) -> Entry | None:
        """The run's entry, as the last scan made it if nothing has changed; None if it cannot be shown."""
        try:
            leaving = _link_that_leaves(run.path, real_root)
            if leaving is not None:
                tell(run.path, f"{leaving!r} is a link to outside of the folder that is served")
                return None
            if known is not None and known.run.created == run.created and known.run.name == run.name:
                run = known.run  # it remembers what it has read of the journal
            else:
                known = None
            revision, status = run.revision, run.status
            if known is not None and (known.revision, known.status) == (revision, status):
                return known
            described = describe(run)
        except FileNotFoundError:
            return None  # deleted meanwhile
        except (OSError, ValueError, holter.HolterError) as error:
            tell(run.path, str(error))
            return None
        run_id = known.id if known else _free_id(_relative(run.path, self.root), entries)
        colour = self._colours.setdefault(run_id, len(self._colours))
        name = printable(run.name) if run.rank == 0 else f"{printable(run.name)} rank {run.rank}"
        return Entry(run_id, run, name, colour, revision, status, described)

    def _remember_the_left(self, last: Listing | None, entries: dict[str, Entry], problems: dict[str, str]) -> None:
        for entry in [] if last is None else last.entries.values():
            if entry.id not in entries:
                reason = problems.get(entry.id)
                self._left[entry.id] = (
                    f"run {entry.id!r} cannot be read any more: {reason}" if reason else _deleted(entry)
                )
        for run_id in entries:
            self._left.pop(run_id, None)


@contextmanager
def reading(*entries: Entry) -> Iterator[None]:
    """Turn what reading these runs raises into an answer: 410 if one is gone, 404 for an unknown series."""
    try:
        yield
    except (KeyError, OSError, holter.HolterError) as error:
        for entry in entries:
            if not entry.run.path.is_dir():
                raise Refused(410, _deleted(entry)) from error
        if isinstance(error, KeyError):
            raise Refused(404, str(error.args[0]) if error.args else "there is no such series") from error
        among = f"run {entries[0].id!r}" if len(entries) == 1 else "one of the runs"
        raise Refused(410, f"{among} cannot be read: {printable(str(error))}") from error


@contextmanager
def _told(path: Path, words: str, tell: Callable[[Path, str], None]) -> Iterator[None]:
    """List what a run raises as a problem, and go on."""
    try:
        yield
    except (OSError, holter.HolterError) as error:
        tell(path, f"{words}{error}")


def _deleted(entry: Entry) -> str:
    return f"run {entry.id!r} was deleted or moved while it was open"


def _why_no_folder(root: Path, error: Exception) -> str:
    if root.is_dir():
        return f"the folder cannot be read: {error}"
    if root.exists():
        return "this is a file; `holter serve` takes a folder that holds runs"
    return "there is no such folder yet; runs appear here as soon as there are any"


def _link_that_leaves(run: Path, real_root: Path) -> str | None:
    """The name of a link in a run's directory, or of the directory itself, that leads out of the root."""
    if not Path(os.path.realpath(run)).is_relative_to(real_root):
        return printable(run.name)
    with os.scandir(run) as found:
        for item in found:
            if item.is_symlink() and not Path(os.path.realpath(item.path)).is_relative_to(real_root):
                return printable(item.name)
    return None


def _relative(path: Path, root: Path) -> str:
    """A path as clients are told it: relative to the root, in proper Unicode."""
    try:
        relative = path.relative_to(root).as_posix()
    except ValueError:
        relative = path.as_posix()
    return printable(root.name or "run" if relative == "." else relative)


def _free_id(run_id: str, entries: dict[str, Entry]) -> str:
    while run_id in entries:
        run_id += "~"
    return run_id
