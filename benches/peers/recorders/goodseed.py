"""GoodSeed in local mode."""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from peers.recorder import Recorder, Way


class Goodseed(Recorder):
    """A local run: each call is a transaction in SQLite."""

    title = "GoodSeed"
    requirements = ("goodseed==0.4.0",)
    settings = '`Run(storage="local")`, without capture of output, hardware and Git'
    durable = "the call has returned: committed to SQLite with `synchronous=NORMAL`"
    reader = "`goodseed.storage.read_metrics`, which its server calls"
    ways = (
        Way("log", "`run[name].log(value, step=step)`", "pairs"),
        Way("log_many", "`run.log_metrics(values, step=step)`", "mapping"),
    )

    def prepare(self, path: pathlib.Path) -> None:
        os.environ["GOODSEED_HOME"] = str(path)
        import goodseed
        from goodseed.storage import read_metrics

        self._goodseed: Any = goodseed
        self._read: Any = read_metrics

    def open(self, path: pathlib.Path, names: Sequence[str]) -> None:
        del path, names
        self._run = self._goodseed.Run(
            project="bench",
            storage="local",
            capture_hardware_metrics=False,
            capture_stdout=False,
            capture_stderr=False,
            git_ref=False,
        )

    def log(self, step: int, pairs: Sequence[tuple[str, float]]) -> None:
        run = self._run
        for name, value in pairs:
            run[name].log(value, step=step)

    def log_many(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log_metrics(values, step=step)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self._run.close()

    def open_reader(self, path: pathlib.Path) -> None:
        (self._database,) = path.rglob("*.sqlite")

    def read_series(self, name: str) -> tuple[Sequence[float], Sequence[float]]:
        rows = self._read(self._database, name)
        return [row["step"] for row in rows], [row["value"] for row in rows]
