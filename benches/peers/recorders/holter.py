"""Holter with all sinks, and with Parquet only."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from peers.recorder import Recorder, Way


class Holter(Recorder):
    """A run with three sinks: SQLite, Parquet and the summary."""

    title = "Holter"
    requirements = ("holter",)  # replaced with the wheel of this checkout
    settings = "defaults: SQLite, Parquet and `summary.jsonl`"
    durable = "`flush()` has returned: every point is synced in every sink"
    reader = "`holter.open_run(path).series(name)`, steps and values"
    sinks: ClassVar[tuple[str, ...]] = ("sqlite", "parquet", "summary")
    ways = (
        Way("log", "`logger.log(step, name, value)`", "pairs"),
        Way("log_bound", "`metric.log(step, value)`", "handles"),
        Way("log_many", "`logger.log_many(step, values)`", "mapping"),
        Way("log_array", "`logger.log_array(step, metrics, values)`", "row", is_fast=True),
    )

    def prepare(self, path: pathlib.Path) -> None:
        del path
        import numpy as np  # used by the reader; the import must not be timed

        import holter

        del np
        self._holter = holter

    def open(self, path: pathlib.Path, names: Sequence[str]) -> None:
        self._logger = self._holter.Logger(path / "run", sinks=self.sinks)
        self._metrics = self._logger.metrics(names)

    def handle(self, name: str) -> Any:
        return self._logger.metric(name)

    def log(self, step: int, pairs: Sequence[tuple[str, float]]) -> None:
        logger = self._logger
        for name, value in pairs:
            logger.log(step, name, value)

    def log_bound(self, step: int, pairs: Sequence[tuple[Any, float]]) -> None:
        for metric, value in pairs:
            metric.log(step, value)

    def log_many(self, step: int, values: Mapping[str, float]) -> None:
        self._logger.log_many(step, values)

    def log_array(self, step: int, row: Any) -> None:
        self._logger.log_array(step, self._metrics, row)

    def flush(self) -> None:
        self._logger.flush()

    def close(self) -> None:
        self._logger.close()

    def open_reader(self, path: pathlib.Path) -> None:
        self._run = self._holter.open_run(path / "run")

    def read_series(self, name: str) -> tuple[Any, Any]:
        try:
            series = self._run.series(name)
        except KeyError:
            return [], []
        return series.steps, series.values

    def size(self, path: pathlib.Path) -> dict[str, int]:
        found = {"SQLite": 0, "Parquet": 0, "rest": 0}
        for file in (file for file in path.rglob("*") if file.is_file()):
            part = "Parquet" if file.suffix == ".parquet" else "SQLite" if "sqlite" in file.name else "rest"
            found[part] += file.stat().st_size
        return found


class HolterParquet(Holter):
    """A run with Parquet as its only sink."""

    title = "Holter, Parquet only"
    settings = '`sinks=("parquet",)`'
    sinks = ("parquet",)
