"""A run as TensorBoard's event files: every point exactly, in the forms that TensorBoard itself has.

A series whose values are all float32 is written as `simple_value`, which every reader of event files knows. Any other
is written as float64 tensors, as torch's SummaryWriter does with `new_style=True, double_precision=True`.
"""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from holter.tfevents._batches import event_files
from holter.tfevents._crc32c import Bytes, masked_crcs_of_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from holter import Run, Series

__all__ = ["write"]

_ROWS_AT_ONCE = 1 << 14

_VERSION = b"\x1a\x0dbrain.Event:2"
# SummaryMetadata: plugin_data { plugin_name: "scalars" } data_class: DATA_CLASS_SCALAR
_METADATA = b"\x4a\x0d\x0a\x09\x0a\x07scalars\x20\x01"
# simple_value, a float32
_FLOAT = b"\x15"
# TensorProto: dtype: DT_DOUBLE, tensor_shape {}, double_val of one element
_DOUBLE = b"\x42\x0e\x08\x02\x12\x00\x32\x08"


def write(
    run: Run,
    directory: str | os.PathLike[str],
    *,
    pattern: str = "*",
    as_float32: bool = False,
    progress: Callable[[int], None] | None = None,
) -> list[Path]:
    """Write a run's points as event files; the ranks of a distributed run go into directories of their own below.

    Args:
        run: the run, its rank 0 for all of its ranks.
        directory: TensorBoard's run; made if it is missing.
        pattern: which series, as `Run.names` takes it.
        as_float32: round all values to float32, for readers that know `simple_value` alone, such as TensorBoard's
            `EventAccumulator.Scalars`.
        progress: called with the number of points that each step has written.

    Returns:
        The files, one for each rank that has a point.

    Raises:
        FileExistsError: the directory holds event files already, which TensorBoard would mix with these.
        OSError, StoreError: something cannot be written, or read.
    """
    ranks = run.ranks if run.rank == 0 else [run.rank]
    parts = [(run if rank == run.rank else run.open_rank(rank), rank) for rank in ranks]
    places = [(part, Path(directory, f"rank-{rank:05}") if rank else Path(directory)) for part, rank in parts]
    for _, place in places:
        if place.is_dir() and event_files(place):
            raise FileExistsError(f"{place} holds event files already, with which TensorBoard would mix {run.name!r}")
    export = _Export(as_float32=as_float32, progress=progress or _ignore)
    return [export.write(part, place, pattern) for part, place in places if part.names(pattern)]


@dataclass(frozen=True)
class _Export:
    """How runs are written."""

    as_float32: bool
    progress: Callable[[int], None]

    def write(self, run: Run, directory: Path, pattern: str) -> Path:
        """Write one rank's file, which is there only when it is whole."""
        directory.mkdir(parents=True, exist_ok=True)
        seconds = int(run.created.timestamp())
        path = directory / f"events.out.tfevents.{seconds:010}.holter"
        unfinished = directory / f".holter-export-{os.getpid()}"  # TensorBoard looks for other names
        try:
            with unfinished.open("xb") as file:
                header = b"\x09" + np.float64(seconds).tobytes() + _VERSION
                file.write(_records(np.frombuffer(header, np.uint8)[None]))
                for name in run.names(pattern):
                    self._write_series(file, run.series(name))
            unfinished.rename(path)
        finally:
            unfinished.unlink(missing_ok=True)
        return path

    def _write_series(self, file: BinaryIO, series: Series) -> None:
        times = series.timestamps.astype("<M8[us]").astype(np.int64) / 1e6
        with np.errstate(over="ignore", invalid="ignore"):
            singles = series.values.astype("<f4")
        is_exact = self.as_float32 or bool(((singles == series.values) | np.isnan(series.values)).all())
        values = singles if is_exact else series.values.astype("<f8")
        # Of one length are the events whose steps take as many bytes; steps ascend, so these follow each other.
        sizes = _varint_sizes(series.steps)
        bounds = np.flatnonzero(np.diff(sizes, prepend=-1, append=-1)).tolist()
        for begin, end in itertools.pairwise(bounds):
            layout = _Layout(series.name, int(sizes[begin]), values.dtype)
            for first in range(begin, end, _ROWS_AT_ONCE):
                some = slice(first, min(end, first + _ROWS_AT_ONCE))
                file.write(_records(layout.rows(series.steps[some], values[some], times[some])))
                self.progress(some.stop - some.start)


class _Layout:
    """An event of one series, with room for the time, the step and the value."""

    def __init__(self, name: str, step_size: int, kind: np.dtype[np.floating]) -> None:
        tag = name.encode("utf-8")
        number = _FLOAT if kind.itemsize == 4 else _METADATA + _DOUBLE
        value = _delimited(b"\x0a", tag) + number + bytes(kind.itemsize)
        summary = _delimited(b"\x2a", _delimited(b"\x0a", value))
        self._row = np.frombuffer(b"\x09" + bytes(8) + b"\x10" + bytes(step_size) + summary, np.uint8)
        self._step_size = step_size
        self._value_size = kind.itemsize

    def rows(
        self, steps: npt.NDArray[np.int64], values: npt.NDArray[np.floating], times: npt.NDArray[np.float64]
    ) -> Bytes:
        """The events, one in each row."""
        rows = np.tile(self._row, (len(steps), 1))
        rows[:, 1:9] = times.astype("<f8").view(np.uint8).reshape(-1, 8)
        bits = steps.view(np.uint64)
        for place in range(self._step_size):
            more = 0x80 if place < self._step_size - 1 else 0
            rows[:, 10 + place] = (bits >> np.uint64(7 * place)) & np.uint64(127) | np.uint64(more)
        rows[:, -self._value_size :] = np.ascontiguousarray(values).view(np.uint8).reshape(-1, self._value_size)
        return rows


def _records(rows: Bytes) -> bytes:
    """Messages of one length as records."""
    length = np.array([rows.shape[1]], "<u8").view(np.uint8)
    header = np.concatenate([length, _crc_bytes(length[None])[0]])
    return np.hstack([np.tile(header, (len(rows), 1)), rows, _crc_bytes(rows)]).tobytes()


def _crc_bytes(rows: Bytes) -> Bytes:
    return masked_crcs_of_rows(rows).astype("<u4").view(np.uint8).reshape(-1, 4)


def _varint_sizes(numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """How many bytes each takes as a varint; ten if it is negative."""
    bits = numbers.view(np.uint64)
    sizes = np.ones(len(bits), np.int64)
    for place in range(1, 10):
        sizes += bits >> np.uint64(7 * place) > 0
    return sizes


def _delimited(key: bytes, content: bytes) -> bytes:
    """A field that says how long it is."""
    length, size = len(content), bytearray()
    while length > 127:
        size.append(length & 127 | 128)
        length >>= 7
    return key + bytes([*size, length]) + content


def _ignore(num_points: int) -> None:
    """Progress that nobody follows."""
