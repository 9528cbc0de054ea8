"""TFRecord: the records of a file, in chunks, each checked; a damaged one is reported and does not end the reading.

A record is its length (8 bytes, little endian), the length's masked CRC (4), the data, the data's masked CRC (4). A
length is believed only with its CRC, and nothing is ever allocated by one: of a file as much is read as it has.

Where a length is damaged the next record is found by trying every byte that follows.
"""

from __future__ import annotations

import os
import stat
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from holter.formats.tfevents._crc32c import MAX_SPAN_AT_ONCE, Bytes, masked_crcs, masked_crcs_of_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

__all__ = ["Chunk", "Damage", "read_chunks"]

_CHUNK = 8 << 20
_SMALL_CHUNK = 64 << 10
_HEADER = 12
_FOOTER = 4
_MAX_LENGTH = 4 << 20
"""Longer records hold no scalars; they are passed over unread."""
_MAX_SEARCHES = 1000
"""How often a file may lose its thread before the rest of it is given up."""
_FIRST_WINDOW, _LAST_WINDOW = 1 << 10, 1 << 20
"""How much is searched at once for the next record, at first and at last."""

_read_length = struct.Struct("<Q").unpack_from


@dataclass(frozen=True)
class Damage:
    """Something in a file that could not be read.

    Attributes:
        path: the file.
        offset: where in it the record begins, in bytes.
        reason: what is wrong.
    """

    path: Path
    offset: int
    reason: str

    def __str__(self) -> str:
        return f"{self.path}, byte {self.offset}: {self.reason}"


@dataclass(frozen=True)
class Chunk:
    """Some records of a file, one after the other.

    Attributes:
        buffer: the bytes.
        starts: where the records' data begin in the buffer, shape (n,).
        lengths: how long they are, shape (n,).
        origin: what has to be added to a place in the buffer to have it in the file.
        end: how far into the file the reading has come.
        damage: what could not be read.
        num_passed_over: how many records were too long to hold a scalar.
    """

    buffer: Bytes
    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    origin: int
    end: int
    damage: list[Damage]
    num_passed_over: int

    def damaged(self, path: Path, start: int, reason: str) -> Damage:
        """A report of the record whose data begin at a place in the buffer."""
        return Damage(path, self.origin + start - _HEADER, reason)


def read_chunks(path: Path) -> Iterator[Chunk]:
    """The records of a file as it is now: what is written meanwhile is not waited for.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no file.
    """
    # Without O_NONBLOCK a pipe would be waited for.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"an event file must be a file, and {path} is none")
        yield from _Reading(path, file, status.st_size).chunks()


class _Reading:
    """A file under way: a window of its bytes, and what has been found in it."""

    def __init__(self, path: Path, file: BinaryIO, size: int) -> None:
        self._path = path
        self._file = file
        self._size = size
        self._window = b""
        self._origin = 0  # of the window in the file
        self._damage: list[Damage] = []
        self._num_passed_over = 0
        self._num_searches = 0

    def chunks(self) -> Iterator[Chunk]:
        place, count = 0, _CHUNK
        while place < self._size:
            self._load(place, count)
            starts, lengths = self._scan()
            if starts:
                place += starts[-1] + lengths[-1] + _FOOTER
                # Behind damage small steps at first: what is read beyond the next damage is read in vain.
                count = min(2 * count, _CHUNK)
            else:
                place, count = self._without_a_record(place)
            yield self._checked(starts, lengths, place)

    def _load(self, place: int, count: int) -> None:
        """Have the window begin at a place and hold so many bytes, as far as the file has them."""
        count = min(count, self._size - place)
        kept = self._window[place - self._origin :][:count] if self._origin <= place else b""
        if len(kept) < count:
            self._file.seek(place + len(kept))
            kept += self._file.read(count - len(kept))
        if len(kept) < count:  # the file has become shorter since it was opened
            self._size = place + len(kept)
        self._window, self._origin = kept, place

    def _scan(self) -> tuple[list[int], list[int]]:
        """The records that lie in the window as a whole, up to the first whose length is damaged."""
        window, end = self._window, len(self._window)
        starts, lengths = [], []
        at = 0
        while at + _HEADER <= end:
            (length,) = _read_length(window, at)
            after = at + length + _HEADER + _FOOTER
            if after > end or length > _MAX_LENGTH:
                break
            starts.append(at + _HEADER)
            lengths.append(length)
            at = after
        wrong = np.flatnonzero(~self._are_headers(np.array(starts, np.int64) - _HEADER))
        count = int(wrong[0]) if wrong.size else len(starts)
        return starts[:count], lengths[:count]

    def _without_a_record(self, place: int) -> tuple[int, int]:
        """Where to go on from a place at which the window has no whole record, and how much to load there."""
        left = self._size - place
        if left < _HEADER:
            if left > 0:
                self._report(place, f"the file ends within a record, of which it has {left} bytes")
            return self._size, _CHUNK
        if not self._are_headers(np.zeros(1, np.int64)).all():
            return self._search(place, "the length of a record is damaged"), _SMALL_CHUNK
        (length,) = _read_length(self._window)
        whole: int = length + _HEADER + _FOOTER
        if whole > left:
            return self._search(place, f"the file ends within a record of {length} bytes"), _SMALL_CHUNK
        if length > _MAX_LENGTH:
            self._num_passed_over += 1
            return place + whole, _CHUNK
        return place, whole

    def _search(self, place: int, reason: str) -> int:
        """The place of the next header; the file's end if there is none."""
        self._num_searches += 1
        if self._num_searches > _MAX_SEARCHES:
            self._report(place, f"{reason}, for the {self._num_searches}th time: the rest of the file is left out")
            return self._size
        found = self._next_header(place + 1)
        self._report(place, f"{reason}; {found - place} bytes are passed over")
        return found

    def _next_header(self, place: int) -> int:
        count = _FIRST_WINDOW
        while place + _HEADER <= self._size:
            self._load(place, count + _HEADER - 1)
            candidates = np.arange(len(self._window) - _HEADER + 1)
            found = candidates[self._are_headers(candidates)]
            whole = [at + _read_length(self._window, at)[0] + _HEADER + _FOOTER for at in found.tolist()]
            fits = [at for at, end in zip(found.tolist(), whole, strict=True) if place + end <= self._size]
            if fits:
                return int(place + fits[0])
            place += len(candidates)
            count = min(4 * count, _LAST_WINDOW)
        return self._size

    def _are_headers(self, places: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Whether the twelve bytes at these places of the window are a length and its CRC."""
        if not places.size:
            return np.zeros(0, np.bool_)
        headers = np.lib.stride_tricks.sliding_window_view(np.frombuffer(self._window, np.uint8), _HEADER)[places]
        matches: npt.NDArray[np.bool_] = masked_crcs_of_rows(headers[:, :8]) == _words(headers[:, 8:])
        return matches

    def _checked(self, starts: list[int], lengths: list[int], end: int) -> Chunk:
        """The records whose data are what they were when they were written."""
        # In front of the first record lies what `masked_crcs` may look at.
        buffer = np.zeros(MAX_SPAN_AT_ONCE + len(self._window), np.uint8)
        buffer[MAX_SPAN_AT_ONCE:] = np.frombuffer(self._window, np.uint8)
        begin, count = np.array(starts, np.int64) + MAX_SPAN_AT_ONCE, np.array(lengths, np.int64)
        origin = self._origin - MAX_SPAN_AT_ONCE
        if starts:
            footers = np.lib.stride_tricks.sliding_window_view(buffer, _FOOTER)[begin + count]
            is_whole = masked_crcs(buffer, begin, count) == _words(footers)
            for start in begin[~is_whole].tolist():
                self._report(origin + start - _HEADER, "the data of a record are damaged")
            begin, count = begin[is_whole], count[is_whole]
        chunk = Chunk(buffer, begin, count, origin, end, self._damage, self._num_passed_over)
        self._damage, self._num_passed_over = [], 0
        return chunk

    def _report(self, offset: int, reason: str) -> None:
        self._damage.append(Damage(self._path, offset, reason))


def _words(rows: Bytes) -> npt.NDArray[np.uint32]:
    """Rows of four bytes as little-endian words."""
    return np.ascontiguousarray(rows).view("<u4").ravel()
