"""The scalars of a chunk's events as columns.

Events of one length mostly have their numbers at the same places. One of them is parsed; all others that agree with it
in every byte but those of the time, the step, the tag and the number are taken at once. What is left is parsed one by
one.
"""

from __future__ import annotations

import itertools
import struct
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from holter.formats.tfevents._events import Event, parse

if TYPE_CHECKING:
    import numpy.typing as npt

    from holter.formats.tfevents._crc32c import Bytes
    from holter.formats.tfevents._records import Chunk

__all__ = ["Columns", "Names"]

_MAX_NAME_BYTES = 65_535
_MAX_LAYOUTS = 8
"""So many layouts of events of one length are tried; the events of others are parsed one by one."""
_WORTHWHILE = 16
"""For fewer events of one length it is cheaper to parse each."""

_read_double = struct.Struct("<d").unpack_from
_read_float = struct.Struct("<f").unpack_from


class Names(dict[bytes, int]):
    """Tags as codes, in the order of their first appearance.

    Attributes:
        texts: the tag of each code, "" for one that can name no series.
        faults: why it cannot, by code.
    """

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.faults: dict[int, str] = {}

    def __missing__(self, tag: bytes) -> int:
        code = self[tag] = len(self.texts)
        text, fault = "", ""
        if not tag:
            fault = "the tag is empty"
        elif len(tag) > _MAX_NAME_BYTES:
            fault = f"the tag has {len(tag)} bytes, and a series' name at most {_MAX_NAME_BYTES}"
        elif b"\0" in tag:
            fault = "the tag has a NUL in it"
        else:
            try:
                text = tag.decode("utf-8")
            except UnicodeDecodeError:
                fault = "the tag is not UTF-8"
        self.texts.append(text)
        if fault:
            self.faults[code] = fault
        return code


class Columns:
    """The scalars of a chunk.

    Attributes:
        damage: where in the buffer a record's data begin that cannot be used, and why.
        left_out: how many events or values hold no scalars, by kind.
    """

    def __init__(self, chunk: Chunk, names: Names) -> None:
        self.damage: list[tuple[int, str]] = []
        self.left_out: Counter[str] = Counter()
        self._buffer = chunk.buffer
        self._data = chunk.buffer.data
        self._names = names
        self._parts: list[_Part] = []
        self._singles: list[tuple[int, int, int, float, float]] = []
        order = np.argsort(chunk.lengths, kind="stable")
        lengths = chunk.lengths[order]
        bounds = np.flatnonzero(np.diff(lengths, prepend=-1, append=-1)).tolist()
        for begin, end in itertools.pairwise(bounds):
            self._take(chunk.starts[order[begin:end]], int(lengths[begin]))

    def joined(self) -> _Part:
        """All scalars whose tags can name a series, in the order of the file."""
        singles = zip(*self._singles, strict=True) if self._singles else [()] * 5
        kinds = (np.int64, np.int64, np.int64, np.float64, np.float64)
        last = _Part._make(np.array(list(column), kind) for column, kind in zip(singles, kinds, strict=True))
        together = _Part._make(np.concatenate(columns) for columns in zip(*self._parts, last, strict=True))
        order = np.argsort(together.places, kind="stable")
        together = _Part._make(column[order] for column in together)
        if not self._names.faults:
            return together
        is_faulty = np.isin(together.codes, list(self._names.faults))
        for place, code in zip(together.places[is_faulty].tolist(), together.codes[is_faulty].tolist(), strict=True):
            self.damage.append((place, self._names.faults[code]))
        return _Part._make(column[~is_faulty] for column in together)

    def _take(self, starts: npt.NDArray[np.int64], length: int) -> None:
        """Take the events of one length."""
        if len(starts) >= _WORTHWHILE and length:
            rows = np.lib.stride_tricks.sliding_window_view(self._buffer, length)[starts]
            for _ in range(_MAX_LAYOUTS):
                if len(starts) < _WORTHWHILE:
                    break
                event = self._parsed(int(starts[0]), length)
                if event is None or event.left_out or not event.scalars:
                    self._add(int(starts[0]), event)
                    starts, rows = starts[1:], rows[1:]
                    continue
                agree = _agreeing(rows, event, int(starts[0]))
                self._add_columns(rows[agree], starts[agree], event, int(starts[0]))
                starts, rows = starts[~agree], rows[~agree]
        for start in starts.tolist():
            self._add(start, self._parsed(start, length))

    def _parsed(self, start: int, length: int) -> Event | None:
        try:
            return parse(self._data, start, start + length)
        except ValueError as error:
            self.damage.append((start, f"the record is no event: {error}"))
            return None

    def _add(self, start: int, event: Event | None) -> None:
        """Take one event."""
        if event is None:
            return
        self.left_out.update(event.left_out)
        (time,) = _read_double(self._data, event.time_at) if event.time_at >= 0 else (0.0,)
        step = 0
        for place in range(event.step_end - 1, event.step_at - 1, -1):
            step = step << 7 | self._data[place] & 127
        step = (step + (1 << 63)) % (1 << 64) - (1 << 63)
        for scalar in event.scalars:
            code = self._names[bytes(self._data[scalar.tag_start : scalar.tag_end])]
            (value,) = (_read_double if scalar.is_double else _read_float)(self._data, scalar.value_at)
            self._singles.append((start, code, step, value, time))

    def _add_columns(self, rows: Bytes, starts: npt.NDArray[np.int64], event: Event, origin: int) -> None:
        """Take events that have everything at the places of the one that begins at `origin`."""
        times = np.zeros(len(rows))
        if event.time_at >= 0:
            times = _numbers(rows, event.time_at - origin, "<f8")
        steps = np.zeros(len(rows), np.uint64)
        for place in range(event.step_at, event.step_end):
            bits = (rows[:, place - origin] & np.uint8(127)).astype(np.uint64)
            steps |= bits << np.uint64(7 * (place - event.step_at))
        for scalar in event.scalars:
            values = _numbers(rows, scalar.value_at - origin, "<f8" if scalar.is_double else "<f4")
            codes = self._codes(rows[:, scalar.tag_start - origin : scalar.tag_end - origin])
            self._parts.append(_Part(starts, codes, steps.view(np.int64), values, times))

    def _codes(self, tags: Bytes) -> npt.NDArray[np.int64]:
        """The codes of tags of one length."""
        if (tags == tags[0]).all():
            return np.full(len(tags), self._names[tags[0].tobytes()], np.int64)
        joined, width = tags.tobytes(), tags.shape[1]
        each = (joined[at : at + width] for at in range(0, len(joined), width))
        return np.fromiter(map(self._names.__getitem__, each), np.int64, len(tags))


class _Part(NamedTuple):
    """Columns of scalars; `places` are where their records' data begin in the buffer."""

    places: npt.NDArray[np.int64]
    codes: npt.NDArray[np.int64]
    steps: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    times: npt.NDArray[np.float64]


def _agreeing(rows: Bytes, event: Event, origin: int) -> npt.NDArray[np.bool_]:
    """Which rows have the layout of the first one, which is that of the event."""
    matters = np.full(rows.shape[1], 0xFF, np.uint8)
    if event.time_at >= 0:
        matters[event.time_at - origin :][:8] = 0
    if event.step_at >= 0:
        matters[event.step_at - origin : event.step_end - origin] = 0x80  # whether another byte follows
    for scalar in event.scalars:
        matters[scalar.tag_start - origin : scalar.tag_end - origin] = 0
        matters[scalar.value_at - origin :][: 8 if scalar.is_double else 4] = 0
        if scalar.rounded_at >= 0:
            matters[scalar.rounded_at - origin :][:4] = 0
    agreeing: npt.NDArray[np.bool_] = ~((rows ^ rows[0]) & matters).any(axis=1)
    return agreeing


def _numbers(rows: Bytes, at: int, kind: str) -> npt.NDArray[np.float64]:
    """The floating-point numbers that all rows have at one place."""
    numbers = np.ascontiguousarray(rows[:, at : at + np.dtype(kind).itemsize]).view(kind).ravel()
    with np.errstate(invalid="ignore"):  # a NaN stays one
        return numbers.astype(np.float64)
