"""expman-rs, the other recorder written in Rust."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from peers.recorder import Recorder, Way


class Expman(Recorder):
    """An experiment in wide Parquet files, written by a background task."""

    title = "expman-rs"
    requirements = ("expman-rs==1.3.0",)
    settings = "`Experiment(name, base_dir=path)`, defaults: a flush every 50 rows or 500 ms; hardware metrics off"
    durable = "`close()` has returned: written to the page cache, not synced"
    reader = "`expman.read_metrics(run_dir)`, which reads all series"
    ways = (
        Way("log", "`exp.log_vector({name: value}, step)`", "pairs"),
        Way("log_many", "`exp.log_vector(values, step)`", "mapping"),
    )
    has_flush = False

    def prepare(self, path: pathlib.Path) -> None:
        del path
        import expman

        self._expman: Any = expman

    def open(self, path: pathlib.Path, names: Sequence[str]) -> None:
        del names
        self._experiment = self._expman.Experiment(
            "bench", run_name="run", base_dir=str(path), system_metrics_interval_secs=0
        )

    def log(self, step: int, pairs: Sequence[tuple[str, float]]) -> None:
        log_vector = self._experiment.log_vector
        for name, value in pairs:
            log_vector({name: value}, step)

    def log_many(self, step: int, values: Mapping[str, float]) -> None:
        self._experiment.log_vector(values, step)

    def close(self) -> None:
        self._experiment.close()

    def open_reader(self, path: pathlib.Path) -> None:
        self._rows = self._expman.read_metrics(str(path / "bench" / "run"))

    def read_series(self, name: str) -> tuple[Sequence[float], Sequence[float]]:
        rows = [row for row in self._rows if row.get(name) is not None]
        return [row["step"] for row in rows], [row[name] for row in rows]

    def count(self, names: Sequence[str]) -> int:
        wanted = set(names)
        return sum(value is not None for row in self._rows for name, value in row.items() if name in wanted)
