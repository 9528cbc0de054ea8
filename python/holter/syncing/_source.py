"""The complete files in one rank's directory. Symlinks in it are not followed."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holter._parts import list_parts
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
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # opening a FIFO must not block
_LINK = "symlinks are not followed: replace it with the file"


@dataclass(frozen=True)
class SourceFile:
    """A file to copy.

    Attributes:
        name: Its path, relative to the rank's directory.
        size: The number of complete bytes.
        mtime_ns: Its modification time.
    """

    name: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Scan:
    """A snapshot of a rank's directory.

    Attributes:
        files: The files to copy, without `run.json`: the parts by number, then the JSON Lines files.
        merged_until: The number of the newest part that was merged from others; -1 without one.
        left_out: Files of the run that cannot be copied.
    """

    files: tuple[SourceFile, ...]
    merged_until: int
    left_out: tuple[LeftOut, ...]


class Source:
    """The directory of a rank; a context manager.

    Args:
        path: The run's directory. It may be a symlink, because the user named it.
        below: The directory of another rank in it, which must not be a symlink.

    Raises:
        OSError: If the directory or its `run.json` cannot be opened.
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
        """Return `run.json` as it was when the directory was opened, so that `scan` finds all it refers to."""
        facts = os.fstat(self._run_file)
        return SourceFile(RUN_FILE, facts.st_size, facts.st_mtime_ns), os.pread(self._run_file, facts.st_size, 0)

    def scan(self) -> Scan:
        """Find the files that are complete now."""
        left_out: list[LeftOut] = []
        parts, merged_until = self._parts(left_out)
        lines = [found for name in LINES if (found := self._find(name, left_out))]
        return Scan((*parts, *lines), merged_until, tuple(left_out))

    @contextlib.contextmanager
    def content(self, file: SourceFile) -> Iterator[str]:
        """Yield a path to the file's complete bytes that stays valid while the directory changes.

        Raises:
            FileNotFoundError: If the part has been merged into another.
        """
        with contextlib.ExitStack() as stack:
            if file.name == RUN_FILE:
                descriptor = self._run_file
            else:
                descriptor = self._open(file.name)
                stack.callback(os.close, descriptor)
            if file.name in LINES:
                # The writer appends to it: copy a snapshot that ends with a complete line.
                descriptor = stack.enter_context(_prefix(descriptor, file.size))
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

    def _find(self, name: str, left_out: list[LeftOut]) -> SourceFile | None:
        """Return the file, or None if it is missing, unusable or has no complete content."""
        try:
            descriptor = self._open(name)
        except FileNotFoundError:
            return None
        except OSError as error:
            left_out.append(LeftOut(name, _LINK if error.errno == errno.ELOOP else str(error.strerror)))
            return None
        try:
            facts = os.fstat(descriptor)
            size = _complete_lines(descriptor, facts.st_size) if name in LINES else facts.st_size
            return SourceFile(name, size, facts.st_mtime_ns) if size else None
        finally:
            os.close(descriptor)

    def _parts(self, left_out: list[LeftOut]) -> tuple[list[SourceFile], int]:
        found: dict[int, SourceFile] = {}
        merged: dict[int, list[int]] = {}
        for number, replaces in sorted(self._part_numbers(left_out).items()):
            file = self._find(f"{PARTS}/part-{number:06}.parquet", left_out)
            if file is None:
                continue
            found[number] = file
            if replaces:
                merged[number] = replaces
        # Replaced parts exist until the writer removes them, or after a crash; their points must not count twice.
        replaced = {number for numbers in merged.values() for number in numbers}
        return [file for number, file in found.items() if number not in replaced], max(merged, default=-1)

    def _part_numbers(self, left_out: list[LeftOut]) -> dict[int, list[int]]:
        """Return the numbers of the parts, each with those that it replaces."""
        try:
            folder = os.open(PARTS, _FOLDER | os.O_NOFOLLOW, dir_fd=self._folder)
        except FileNotFoundError:
            return {}
        except OSError as error:
            is_link = error.errno in (errno.ELOOP, errno.ENOTDIR)  # Linux reports the latter with O_DIRECTORY
            left_out.append(LeftOut(PARTS, _LINK if is_link else str(error.strerror)))
            return {}
        try:
            # A damaged part is copied as it is. The names come first: a part that is merged in between is listed only
            # by `list_parts`, together with the parts that it replaces.
            names = os.listdir(folder)  # noqa: PTH208 - of a descriptor
            replaces: dict[str, list[int]] = {name: [] for name in names}
            replaces |= {part.file_name: part.replaces for part in list_parts(f"/proc/self/fd/{folder}")}
        finally:
            os.close(folder)
        return {number: numbers for name, numbers in replaces.items() if (number := part_number(name)) is not None}


@contextlib.contextmanager
def _prefix(descriptor: int, size: int) -> Iterator[int]:
    """Yield the descriptor of a temporary file with the first bytes of another."""
    with tempfile.TemporaryFile() as copy:
        offset = 0
        while offset < size:
            block = os.pread(descriptor, min(_BLOCK, size - offset), offset)
            if not block:
                raise OSError(errno.EIO, "the file shrank while it was being read")
            copy.write(block)
            offset += len(block)
        copy.flush()
        yield copy.fileno()


def _complete_lines(descriptor: int, size: int) -> int:
    """Return the number of bytes up to and including the last newline."""
    end = size
    while end > 0:
        start = max(end - _BLOCK, 0)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
