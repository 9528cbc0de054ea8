"""Rerun, which records chunks of columns."""

import pathlib
import warnings
from collections.abc import Sequence
from typing import Any

from peers.recorder import Recorder, Way
from peers.work import BLOCK_STEPS


class Rerun(Recorder):
    """A recording into one `.rrd` file.

    It has no call for a step of named series: `Scalars` of many values is one series of vectors, and `send_columns`
    takes one series over many steps, which the program has to buffer until then.
    """

    title = "Rerun"
    requirements = ("rerun-sdk==0.41.0",)
    settings = "`RecordingStream.save(path)`, defaults: a chunk every 200 ms or 2 MiB"
    durable = "`flush()` has returned: written to the page cache, not synced"
    reader = "`RrdReader(path)`, the chunks of one entity as Arrow"
    ways = (
        Way("log", "`rec.set_time(…)`, `rec.log(name, Scalars(value))`", "pairs"),
        Way("log_vector", '`rec.log("metrics", Scalars(values))`', "row", is_named=False, is_fast=True),
        Way("send_columns", f"`rec.send_columns` of {BLOCK_STEPS:,} steps", "block", is_fast=True),
    )
    many = "send_columns"

    def prepare(self, path: pathlib.Path) -> None:
        del path
        import numpy as np
        import rerun
        from rerun.chunk import RrdReader

        self._numpy: Any = np
        self._rerun: Any = rerun
        self._reader: Any = RrdReader
        warnings.simplefilter("ignore")  # it warns about a file without an end marker

    def open(self, path: pathlib.Path, names: Sequence[str]) -> None:
        self._names = list(names)
        self._recording = self._rerun.RecordingStream("bench")
        self._recording.save(str(path / "run.rrd"))

    def log(self, step: int, pairs: Sequence[tuple[str, float]]) -> None:
        recording, scalars = self._recording, self._rerun.Scalars
        recording.set_time("step", sequence=step)
        for name, value in pairs:
            recording.log(name, scalars(value))

    def log_vector(self, step: int, row: Any) -> None:
        self._recording.set_time("step", sequence=step)
        self._recording.log("metrics", self._rerun.Scalars(row))

    def send_columns(self, number: int, block: Any) -> None:
        rerun, first = self._rerun, number * BLOCK_STEPS
        steps = self._numpy.arange(first, first + len(block))
        for name, column in zip(self._names, block.T, strict=True):
            indexes = [rerun.TimeColumn("step", sequence=steps)]
            self._recording.send_columns(name, indexes, rerun.Scalars.columns(scalars=column))

    def flush(self) -> None:
        self._recording.flush()

    def close(self) -> None:
        self._recording.disconnect()

    def open_reader(self, path: pathlib.Path) -> None:
        self._opened = self._reader(path / "run.rrd")

    def _chunks(self, *names: str) -> Any:
        try:
            stream = self._opened.store().stream()
        except (RuntimeError, ValueError):  # not closed: the file has no index at its end
            stream = self._opened.stream()
        return (chunk.to_record_batch() for chunk in stream.filter(content=[f"/{name}" for name in names]))

    def read_series(self, name: str) -> tuple[Sequence[float], Sequence[float]]:
        steps, values = [], []
        for batch in self._chunks(name):
            steps.append(batch.column("step").to_numpy(zero_copy_only=False))
            values.append(batch.column("Scalars:scalars").flatten().to_numpy())
        if not steps:
            return [], []
        order = self._numpy.argsort(together := self._numpy.concatenate(steps), kind="stable")
        return together[order], self._numpy.concatenate(values)[order]

    def count(self, names: Sequence[str]) -> int:
        return sum(len(batch.column("Scalars:scalars").flatten()) for batch in self._chunks("metrics", *names))
