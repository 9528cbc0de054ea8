"""The lines of an untrusted text file: one at a time, bounded in length, and valid UTF-8."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holter.formats._source import BatchBuilder

__all__ = ["TextLines"]

MAX_LINE_BYTES: Final = 16 << 20
_BOM: Final = b"\xef\xbb\xbf"


class TextLines:
    """The valid lines, with their line ends; can be iterated once. Invalid lines are reported.

    Attributes:
        number: The number of the current line, from 1.
        bytes_read: How much of the file has been read.
    """

    def __init__(self, batch: BatchBuilder) -> None:
        self.number = 0
        self.bytes_read = 0
        self._batch = batch

    @property
    def location(self) -> str:
        """The current line, for a fault."""
        return f"line {self.number}"

    def __iter__(self) -> Iterator[str]:
        # O_NONBLOCK, so that opening a pipe does not block.
        with os.fdopen(os.open(self._batch.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ValueError(f"{self._batch.path} is not a regular file")
            while line := file.readline(MAX_LINE_BYTES):
                self.number += 1
                self.bytes_read += len(line)
                if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
                    self._batch.report(self.location, f"the line is longer than {MAX_LINE_BYTES >> 20} MiB")
                    while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                        self.bytes_read += len(rest)
                    self.bytes_read += len(rest)
                    continue
                try:
                    yield line.removeprefix(_BOM if self.number == 1 else b"").decode("utf-8")
                except UnicodeDecodeError:
                    self._batch.report(self.location, "the line is not UTF-8")
