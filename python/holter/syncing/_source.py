"""One rank's directory as it is copied: which files are complete, and what each holds. No link in it is followed."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holter.syncing._footer import replaced_parts
from holter.syncing._names import LINES, PARTS, RUN_FILE, part_number
from holter.syncing._report import LeftOut

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["Scan", "Source", "SourceFile"]

_BLOCK = 1 << 20
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a FIFO in a file's place must not be waited for
_LINK = "it is a symbolic link, and none is followed: put the file itself there"


@dataclass(frozen=True)
class SourceFile:
    """A file to be copied.

    Attributes:
        name: Its path below the directory of its rank.
        size: How many bytes of it are complete.
        mtime_ns: When it was last written to.
    """

    name: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Scan:
    """A rank's directory at one moment.

    Attributes:
        files: What can be copied, but for the manifest `run.json`: the parts by their numbers, then the lines.
        merged_until: The number of the newest part that was merged of others; -1 without one.
        left_out: What belongs to the run and cannot be copied.
    """

    files: tuple[SourceFile, ...]
    merged_until: int
    left_out: tuple[LeftOut, ...]


class Source:
    """The directory of a rank; a context manager.

    Args:
        path: The run's directory, which may itself be a link: it was named.
        below: The directory of a further rank in it, which may not.

    Raises:
        OSError: If it, or its `run.json`, cannot be opened.
    """

    def __init__(self, path: Path, below: str = "") -> None:
        self._folder = os.open(path, _FOLDER)
        if below:
            run = self._folder
            try:
                self._folder = os.open(below, _FOLDER | os.O_NOFOLLOW, dir_fd=run)
            finally:
                os.close(run)
        try:
            self._run_file = self._open(RUN_FILE)
        except BaseException:
            os.close(self._folder)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._run_file)
        os.close(self._folder)

    def manifest(self) -> tuple[SourceFile, bytes]:
        """Return `run.json` as it was when the directory was opened: all that it speaks of is found by `scan`."""
        facts = os.fstat(self._run_file)
        return SourceFile(RUN_FILE, facts.st_size, facts.st_mtime_ns), os.pread(self._run_file, facts.st_size, 0)

    def scan(self) -> Scan:
        """Find what is complete now."""
        left_out: list[LeftOut] = []
        parts, merged_until = self._parts(left_out)
        lines = [found for name in LINES if (found := self._look(name, left_out))]
        return Scan((*parts, *lines), merged_until, tuple(left_out))

    @contextlib.contextmanager
    def content(self, file: SourceFile) -> Iterator[str]:
        """Give a path under which the file's complete bytes can be read, whatever is done to the directory meanwhile.

        Raises:
            FileNotFoundError: The part has been merged into another one.
        """
        with contextlib.ExitStack() as stack:
            if file.name == RUN_FILE:
                descriptor = self._run_file
            else:
                descriptor = self._open(file.name)
                stack.callback(os.close, descriptor)
            if file.name in LINES:
                # The writer appends to it: what is copied must be of one moment, and end with a whole line.
                descriptor = stack.enter_context(_beginning_of(descriptor, file.size))
            yield f"/proc/self/fd/{descriptor}"

    def _open(self, name: str) -> int:
        folder, _, base = name.rpartition("/")
        with contextlib.ExitStack() as stack:
            where = self._folder
            if folder:
                where = os.open(folder, _FOLDER | os.O_NOFOLLOW, dir_fd=self._folder)
                stack.callback(os.close, where)
            descriptor = os.open(base, _FILE, dir_fd=where)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "not a regular file", name)
        return descriptor

    def _look(self, name: str, left_out: list[LeftOut]) -> SourceFile | None:
        """What can be copied of a file; None if it is not there, or has nothing that is complete."""
        try:
            descriptor = self._open(name)
        except FileNotFoundError:
            return None
        except OSError as error:
            left_out.append(LeftOut(name, _LINK if error.errno == errno.ELOOP else str(error.strerror)))
            return None
        try:
            facts = os.fstat(descriptor)
            size = _whole_lines(descriptor, facts.st_size) if name in LINES else facts.st_size
            return SourceFile(name, size, facts.st_mtime_ns) if size else None
        finally:
            os.close(descriptor)

    def _parts(self, left_out: list[LeftOut]) -> tuple[list[SourceFile], int]:
        found: dict[int, SourceFile] = {}
        merged: dict[int, frozenset[int]] = {}
        for number in sorted(self._part_numbers(left_out)):
            file = self._look(f"{PARTS}/part-{number:06}.parquet", left_out)
            if file is None:
                continue
            found[number] = file
            replaced = self._replaced_by(file)
            if replaced is not None:
                merged[number] = replaced
        # What was merged is there until the writer has removed it, or after a crash: its points are to count once.
        twice = frozenset[int]().union(*merged.values())
        return [file for number, file in found.items() if number not in twice], max(merged, default=-1)

    def _part_numbers(self, left_out: list[LeftOut]) -> list[int]:
        try:
            folder = os.open(PARTS, _FOLDER | os.O_NOFOLLOW, dir_fd=self._folder)
        except FileNotFoundError:
            return []
        except OSError as error:
            is_link = error.errno in (
                errno.ELOOP,
                errno.ENOTDIR,
            )  # Linux says the latter of a link where a folder is asked for
            left_out.append(LeftOut(PARTS, _LINK if is_link else str(error.strerror)))
            return []
        try:
            names = os.listdir(folder)  # noqa: PTH208 - of a descriptor
            return [number for name in names if (number := part_number(name)) is not None]
        finally:
            os.close(folder)

    def _replaced_by(self, part: SourceFile) -> frozenset[int] | None:
        try:
            descriptor = self._open(part.name)
        except OSError:
            return None  # gone meanwhile: copying it will find out
        try:
            return replaced_parts(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _beginning_of(descriptor: int, size: int) -> Iterator[int]:
    """Give a file of its own with the first bytes of another."""
    with tempfile.TemporaryFile() as copy:
        offset = 0
        while offset < size:
            block = os.pread(descriptor, min(_BLOCK, size - offset), offset)
            if not block:
                raise OSError(errno.EIO, "the file has become shorter while it was read")
            copy.write(block)
            offset += len(block)
        copy.flush()
        yield copy.fileno()


def _whole_lines(descriptor: int, size: int) -> int:
    """How many bytes there are up to the last newline."""
    end = size
    while end > 0:
        start = max(end - _BLOCK, 0)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
