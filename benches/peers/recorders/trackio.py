"""Trackio in local mode."""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from peers.recorder import Recorder, Way


class Trackio(Recorder):
    """A local project: a thread writes the queue into SQLite every half second."""

    title = "Trackio"
    requirements = ("trackio==0.43.0",)
    settings = "`trackio.init(project, name)`, local, defaults, without the GPU and CPU monitors"
    durable = "`trackio.finish()` has returned: committed to SQLite with `synchronous=NORMAL`"
    reader = "`SQLiteStorage.get_metric_values`, which `trackio get metric` calls; it parses every row"
    ways = (
        Way("log", "`trackio.log({name: value}, step=step)`", "pairs"),
        Way("log_many", "`trackio.log(values, step=step)`", "mapping"),
    )
    has_flush = False

    def prepare(self, path: pathlib.Path) -> None:
        os.environ |= {"TRACKIO_DIR": str(path), "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
        import trackio
        from trackio.sqlite_storage import SQLiteStorage

        self._trackio: Any = trackio
        self._storage: Any = SQLiteStorage

    def open(self, path: pathlib.Path, names: Sequence[str]) -> None:
        del path, names
        self._trackio.init(project="bench", name="run", embed=False, auto_log_gpu=False, auto_log_cpu=False)

    def log(self, step: int, pairs: Sequence[tuple[str, float]]) -> None:
        log = self._trackio.log
        for name, value in pairs:
            log({name: value}, step=step)

    def log_many(self, step: int, values: Mapping[str, float]) -> None:
        self._trackio.log(values, step=step)

    def close(self) -> None:
        self._trackio.finish()

    def open_reader(self, path: pathlib.Path) -> None:
        del path  # set by TRACKIO_DIR

    def read_series(self, name: str) -> tuple[Sequence[float], Sequence[float]]:
        rows = self._storage.get_metric_values("bench", "run", name)
        return [row["step"] for row in rows], [row["value"] for row in rows]

    def count(self, names: Sequence[str]) -> int:
        wanted = set(names)
        return sum(len(wanted & row.keys()) for row in self._storage.get_logs("bench", "run"))
