"""The runs below the served folder, from a scan at most once a second that all clients share.

Runs are looked up only by the ids of a scan, so that no request text becomes a path. A run that cannot be read is
listed as a problem and does not hide the others.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import holter
from holter import Run
from holter._text import utf8_safe
from holter.dashboard.api._info import Described, describe
from holter.dashboard.api._responses import RunInfo
from holter.dashboard.http._errors import RequestError

__all__ = ["Entry", "Listing", "RunFolder", "reading"]

MAX_LISTED: Final = 4096
MAX_RANKS: Final = 64
_REST_FACTOR: Final = 2.0


@dataclass(frozen=True, slots=True)
class Entry:
    """A run that a scan found.

    Attributes:
        id: The path relative to the root; clients identify the run by it.
        run: The run.
        name: The display name.
        color: The index in the palette; constant as long as the server runs.
        revision: `run.revision` at the scan.
        status: `run.status` at the scan.
        described: The summary.
    """

    id: str
    run: Run
    name: str
    color: int
    revision: str
    status: str
    described: Described

    def info(self, now: float) -> RunInfo:
        """Return the run's item in the list of runs; `now` is in seconds since the Unix epoch."""
        is_live = self.status == "running"
        return RunInfo(
            id=self.id,
            name=self.name,
            color=self.color,
            rank=self.run.rank,
            status=self.status,
            is_live=is_live,
            revision=self.revision,
            **self.described.at(now, is_live=is_live),
        )


@dataclass(frozen=True, slots=True)
class Listing:
    """The result of a scan: the runs, oldest first, and the paths that could not be read with the reasons."""

    entries: dict[str, Entry]
    problems: tuple[tuple[str, str], ...]

    @property
    def signature(self) -> object:
        """A value that differs between two listings if and only if the displayed list differs."""
        return tuple((entry.id, entry.name, entry.status) for entry in self.entries.values()), self.problems


class RunFolder:
    """The served folder. Thread-safe.

    Args:
        root: A folder of runs, or one run. It may be missing, and may disappear.
        max_age_secs: How long a scan is valid; at least twice the duration of the scan.
    """

    def __init__(self, root: str | os.PathLike[str], *, max_age_secs: float = 1.0) -> None:
        self.root = Path(root).absolute()
        self._max_age_secs = max_age_secs
        self._scan_lock = threading.Lock()
        self._listing: Listing | None = None
        self._valid_until = -float("inf")
        self._colors: dict[str, int] = {}
        self._gone: dict[str, str] = {}  # runs of earlier scans, with the reasons why they are not listed any more

    @property
    def name(self) -> str:
        """The folder's display name."""
        return utf8_safe(self.root.name or str(self.root))

    def listing(self) -> Listing:
        """Return the latest scan, at most a second old unless scanning is slow."""
        if self._listing is not None and time.monotonic() < self._valid_until:
            return self._listing
        # While another thread scans a slow disk, return the previous listing.
        if not self._scan_lock.acquire(blocking=self._listing is None):
            assert self._listing is not None  # noqa: S101  for the type checker: a non-blocking acquire implies it
            return self._listing
        try:
            if self._listing is None or time.monotonic() >= self._valid_until:
                started = time.monotonic()
                self._listing = self._scan(self._listing)
                ended = time.monotonic()
                rest = _REST_FACTOR * (ended - started) if self._max_age_secs else 0.0
                self._valid_until = ended + max(self._max_age_secs, rest)
            return self._listing
        finally:
            self._scan_lock.release()

    def look_up(self, run_id: str) -> Entry | str:
        """Return a run, or the reason why it is not available any more.

        Raises:
            RequestError: 404 if no scan has found it.
        """
        entry = self.listing().entries.get(run_id)
        if entry is None:
            if run_id in self._gone:
                return self._gone[run_id]
            raise RequestError(404, f"there is no run {run_id[:200]!r} in {self.name!r}; /api/v1/runs lists the runs")
        return entry if entry.run.path.is_dir() else _deleted(entry)

    def get(self, run_id: str) -> Entry:
        """Return a run.

        Raises:
            RequestError: 404 if no scan has found it, 410 if it was deleted or cannot be read any more.
        """
        found = self.look_up(run_id)
        if isinstance(found, str):
            raise RequestError(410, found)
        return found

    def get_all(self, run_ids: Sequence[str]) -> list[Entry]:
        """Return several runs in this order; see `get`."""
        return [self.get(run_id) for run_id in run_ids]

    def _scan(self, last: Listing | None) -> Listing:
        real_root = Path(os.path.realpath(self.root))
        problems: list[tuple[str, str]] = []
        entries: dict[str, Entry] = {}
        previous = {} if last is None else {entry.run.path: entry for entry in last.entries.values()}

        def on_problem(path: Path, reason: str) -> None:
            problems.append((_relative(path, self.root), utf8_safe(reason)))

        for run in self._find_runs(on_problem):
            entry = self._entry(run, previous.get(run.path), real_root, entries, on_problem)
            if entry is not None:
                entries[entry.id] = entry
        self._update_gone(last, entries, dict(problems))
        return Listing(entries, tuple(problems))

    def _find_runs(self, on_problem: Callable[[Path, str], None]) -> Iterator[Run]:
        """Yield the runs and their ranks, oldest first."""
        try:
            runs = holter.list_runs(self.root, on_unreadable=on_problem)
        except (OSError, holter.HolterError) as error:
            on_problem(self.root, _explain_folder(self.root, error))
            return
        if len(runs) > MAX_LISTED:
            on_problem(self.root, f"it contains {len(runs)} runs; only the newest {MAX_LISTED} are shown")
        for run in runs[-MAX_LISTED:]:
            try:
                lowest, *others = run.ranks
            except FileNotFoundError:
                continue  # deleted during the scan
            except (OSError, holter.HolterError) as error:
                on_problem(run.path, str(error))
                continue
            if len(others) > MAX_RANKS:
                on_problem(run.path, f"it has {len(others)} more ranks; only the first {MAX_RANKS} are shown")
            for rank in (lowest, *others[:MAX_RANKS]):
                yield from _open_rank(run, rank, on_problem)

    def _entry(
        self,
        run: Run,
        previous: Entry | None,
        real_root: Path,
        entries: dict[str, Entry],
        on_problem: Callable[[Path, str], None],
    ) -> Entry | None:
        """Return the run's entry, unchanged if the run is unchanged; None if the run cannot be shown."""
        try:
            link = _link_out_of(run.path, real_root)
            if link is not None:
                on_problem(run.path, f"{link!r} is a symlink that leads out of the served folder")
                return None
            if previous is not None and previous.run.created == run.created and previous.run.name == run.name:
                run = previous.run  # keeps what it has read of the journal
            else:
                previous = None
            revision, status = run.revision, run.status
            if previous is not None and (previous.revision, previous.status) == (revision, status):
                return previous
            described = describe(run)
        except FileNotFoundError:
            return None  # deleted during the scan
        except (OSError, ValueError, holter.HolterError) as error:
            on_problem(run.path, str(error))
            return None
        run_id = previous.id if previous else _unused_id(_relative(run.path, self.root), entries)
        color = self._colors.setdefault(run_id, len(self._colors))
        name = utf8_safe(run.name) if run.rank == 0 else f"{utf8_safe(run.name)} rank {run.rank}"
        return Entry(run_id, run, name, color, revision, status, described)

    def _update_gone(self, last: Listing | None, entries: dict[str, Entry], problems: dict[str, str]) -> None:
        for entry in [] if last is None else last.entries.values():
            if entry.id not in entries:
                reason = problems.get(entry.id)
                self._gone[entry.id] = (
                    f"run {entry.id!r} cannot be read any more: {reason}" if reason else _deleted(entry)
                )
        for run_id in entries:
            self._gone.pop(run_id, None)


@contextmanager
def reading(*entries: Entry) -> Iterator[None]:
    """Convert errors from reading these runs to a `RequestError`: 410 if a run is gone, 404 if a series is unknown."""
    try:
        yield
    except (KeyError, OSError, holter.HolterError) as error:
        for entry in entries:
            if not entry.run.path.is_dir():
                raise RequestError(410, _deleted(entry)) from error
        if isinstance(error, KeyError):
            raise RequestError(404, str(error.args[0]) if error.args else "there is no such series") from error
        which = f"run {entries[0].id!r}" if len(entries) == 1 else "one of the runs"
        raise RequestError(410, f"{which} cannot be read: {utf8_safe(str(error))}") from error


def _open_rank(run: Run, rank: int, on_problem: Callable[[Path, str], None]) -> Iterator[Run]:
    try:
        yield run.open_rank(rank)
    except (OSError, holter.HolterError) as error:
        on_problem(run.path, f"rank {rank} cannot be read: {error}")


def _deleted(entry: Entry) -> str:
    return f"run {entry.id!r} was deleted or moved while it was open"


def _explain_folder(root: Path, error: Exception) -> str:
    if root.is_dir():
        return f"the folder cannot be read: {error}"
    if root.exists():
        return "this is a file; expected a folder of runs"
    return "the folder does not exist yet; its runs appear here as soon as they exist"


def _link_out_of(run: Path, real_root: Path) -> str | None:
    """Return the name of a symlink in the run's directory, or of the directory, that leads out of the root."""
    if not Path(os.path.realpath(run)).is_relative_to(real_root):
        return utf8_safe(run.name)
    with os.scandir(run) as found:
        for item in found:
            if item.is_symlink() and not Path(os.path.realpath(item.path)).is_relative_to(real_root):
                return utf8_safe(item.name)
    return None


def _relative(path: Path, root: Path) -> str:
    """Return a path for clients: relative to the root, in valid Unicode."""
    try:
        relative = path.relative_to(root).as_posix()
    except ValueError:
        relative = path.as_posix()
    return utf8_safe(root.name or "run" if relative == "." else relative)


def _unused_id(run_id: str, entries: dict[str, Entry]) -> str:
    while run_id in entries:
        run_id += "~"
    return run_id
