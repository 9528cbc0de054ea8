"""A run as TensorBoard's event files, which give every point back exactly.

All values are written as `simple_value`, the float32 that every reader of event files knows. Where that is not the
value itself, the float64 stands beside it, in a field that `tfevents.read` knows and protobuf has others pass
over. TensorBoard's own form for a float64, a tensor, would not do: its data server shows none of them (0.7.2).
"""

from __future__ import annotations

import itertools
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from holter.formats.tfevents._batches import event_files
from holter.formats.tfevents._crc32c import Bytes, masked_crcs_of_rows
from holter.formats.tfevents._events import EXACT_VALUE

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from holter import Run, Series

__all__ = ["write"]

_ROWS_AT_ONCE = 1 << 14

_VERSION = b"\x1a\x0dbrain.Event:2"
_SIMPLE_VALUE = b"\x15"


def write(
    run: Run,
    directory: str | os.PathLike[str],
    *,
    pattern: str | Sequence[str] = "*",
    progress: Callable[[int], None] | None = None,
) -> list[Path]:
    """Write a run's points as event files; the ranks of a distributed run go into directories of their own below.

    Args:
        run: the run.
        directory: TensorBoard's run; made if it is missing.
        pattern: which series, as `Run.names` takes it; or several patterns, for what any of them matches.
        progress: called with the number of points that each step has written.

    Returns:
        The files, one for each rank that has a point.

    Raises:
        FileExistsError: the directory holds event files already, which TensorBoard would mix with these.
        OSError, StoreError: something cannot be written, or read.
    """
    parts = [(run.open_rank(rank), rank) for rank in run.ranks]
    places = [(part, Path(directory, f"rank-{rank:05}") if rank else Path(directory)) for part, rank in parts]
    for _, place in places:
        if place.is_dir() and event_files(place):
            raise FileExistsError(f"{place} holds event files already, with which TensorBoard would mix {run.name!r}")
    patterns = [pattern] if isinstance(pattern, str) else pattern
    export = _Export(progress or _ignore)
    chosen = [(part, place, sorted({name for one in patterns for name in part.names(one)})) for part, place in places]
    return [export.write(part, place, names) for part, place, names in chosen if names]


@dataclass(frozen=True)
class _Export:
    """Writes runs, and tells how far it is."""

    progress: Callable[[int], None]

    def write(self, run: Run, directory: Path, names: Sequence[str]) -> Path:
        """Write one rank's file, which is there only when it is whole."""
        directory.mkdir(parents=True, exist_ok=True)
        seconds = int(run.created.timestamp())
        path = directory / f"events.out.tfevents.{seconds:010}.holter"
        unfinished = directory / f".holter-export-{secrets.token_hex(8)}"  # TensorBoard looks for other names
        try:
            with unfinished.open("xb") as file:
                header = b"\x09" + np.float64(seconds).tobytes() + _VERSION
                file.write(_records(np.frombuffer(header, np.uint8)[None]))
                for name in names:
                    self._write_series(file, run.series(name))
            unfinished.rename(path)
        finally:
            unfinished.unlink(missing_ok=True)
        return path

    def _write_series(self, file: BinaryIO, series: Series) -> None:
        times = series.timestamps.astype("<M8[us]").astype(np.int64) / 1e6
        values = series.values.astype("<f8")
        with np.errstate(over="ignore", invalid="ignore"):
            singles = values.astype("<f4")
        is_exact = bool(((singles == values) | np.isnan(values)).all())
        # Of one length are the events whose steps take as many bytes; steps ascend, so these follow each other.
        sizes = _varint_sizes(series.steps)
        bounds = np.flatnonzero(np.diff(sizes, prepend=-1, append=-1)).tolist()
        for begin, end in itertools.pairwise(bounds):
            layout = _Layout(series.name, int(sizes[begin]), is_exact=is_exact)
            for first in range(begin, end, _ROWS_AT_ONCE):
                some = slice(first, min(end, first + _ROWS_AT_ONCE))
                file.write(_records(layout.rows(series.steps[some], values[some], singles[some], times[some])))
                self.progress(some.stop - some.start)


class _Layout:
    """An event of one series, with room for the time, the step and the value."""

    def __init__(self, name: str, step_size: int, *, is_exact: bool) -> None:
        value = _delimited(1, name.encode("utf-8")) + _SIMPLE_VALUE + bytes(4)
        if not is_exact:
            value += _varint(EXACT_VALUE << 3 | 1) + bytes(8)
        head = b"\x09" + bytes(8) + b"\x10" + bytes(step_size)
        self._row = np.frombuffer(head + _delimited(5, _delimited(1, value)), np.uint8)
        self._step_size = step_size
        self._exact = slice(len(self._row) - 8, len(self._row)) if not is_exact else None
        end = len(self._row) - (0 if is_exact else 8 + len(_varint(EXACT_VALUE << 3 | 1)))
        self._single = slice(end - 4, end)

    def rows(
        self,
        steps: npt.NDArray[np.int64],
        values: npt.NDArray[np.float64],
        singles: npt.NDArray[np.float32],
        times: npt.NDArray[np.float64],
    ) -> Bytes:
        """The events, one in each row; the float64 values are left out where the float32 ones are exact."""
        rows = np.tile(self._row, (len(steps), 1))
        rows[:, 1:9] = _as_bytes(times.astype("<f8"))
        bits = steps.view(np.uint64)
        for place in range(self._step_size):
            more = 0x80 if place < self._step_size - 1 else 0
            rows[:, 10 + place] = (bits >> np.uint64(7 * place)) & np.uint64(127) | np.uint64(more)
        rows[:, self._single] = _as_bytes(singles)
        if self._exact is not None:
            rows[:, self._exact] = _as_bytes(values)
        return rows


def _records(rows: Bytes) -> bytes:
    """Messages of one length as records."""
    length = np.array([rows.shape[1]], "<u8").view(np.uint8)
    header = np.concatenate([length, _crc_bytes(length[None])[0]])
    return np.hstack([np.tile(header, (len(rows), 1)), rows, _crc_bytes(rows)]).tobytes()


def _crc_bytes(rows: Bytes) -> Bytes:
    return _as_bytes(masked_crcs_of_rows(rows).astype("<u4"))


def _as_bytes(numbers: npt.NDArray[Any]) -> Bytes:
    """Each number's bytes as a row."""
    return numbers.view(np.uint8).reshape(len(numbers), -1)


def _varint_sizes(numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """How many bytes each takes as a varint; ten if it is negative."""
    bits = numbers.view(np.uint64)
    sizes = np.ones(len(bits), np.int64)
    for place in range(1, 10):
        sizes += bits >> np.uint64(7 * place) > 0
    return sizes


def _delimited(number: int, content: bytes) -> bytes:
    """A field that says how long it is."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def _ignore(num_points: int) -> None:
    """Progress that nobody follows."""
