"""The lines of a text file, whatever is in it: one at a time, none too long for the memory, each of them UTF-8."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holter.formats._model import Gathering

__all__ = ["Lines"]

MAX_LINE_BYTES: Final = 16 << 20
_BOM: Final = b"\xef\xbb\xbf"


class Lines:
    """The lines that can be read, with their ends; iterated once. What cannot be read is reported.

    Attributes:
        number: The number of the line that was given last, from 1.
        bytes_read: How far the reading has come.
    """

    def __init__(self, gathering: Gathering) -> None:
        self.number = 0
        self.bytes_read = 0
        self._gathering = gathering

    @property
    def place(self) -> str:
        """Where the line is that was given last."""
        return f"line {self.number}"

    def __iter__(self) -> Iterator[str]:
        # Without O_NONBLOCK a pipe would be waited for.
        with os.fdopen(os.open(self._gathering.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ValueError(f"{self._gathering.path} is no file")
            while line := file.readline(MAX_LINE_BYTES):
                self.number += 1
                self.bytes_read += len(line)
                if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
                    self._gathering.report(self.place, f"the line is longer than {MAX_LINE_BYTES >> 20} MiB")
                    while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                        self.bytes_read += len(rest)
                    self.bytes_read += len(rest)
                    continue
                try:
                    yield line.removeprefix(_BOM if self.number == 1 else b"").decode("utf-8")
                except UnicodeDecodeError:
                    self._gathering.report(self.place, "the line is not UTF-8")
