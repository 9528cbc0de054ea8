"""Plain JSON lines, as many scripts write them."""

import json
import pathlib
import time
from collections.abc import Mapping, Sequence

from peers.recorder import Recorder, Way


class JsonLines(Recorder):
    """One line per call with `json.dumps`, into a buffered file."""

    title = "plain JSONL"
    settings = "`json.dumps` and `file.write`, Python's buffering; flushed once at the end; one line per call"
    durable = "`file.flush()` and `os.fsync` have returned"
    reader = "`json.loads` of every line"
    ways = (
        Way("log", "`json.dumps` of one point", "pairs"),
        Way("log_many", "`json.dumps` of a step", "mapping"),
    )

    def prepare(self, path: pathlib.Path) -> None:
        del path

    def open(self, path: pathlib.Path, names: Sequence[str]) -> None:
        del names
        self._file = (path / "metrics.jsonl").open("w", encoding="utf-8")

    def log(self, step: int, pairs: Sequence[tuple[str, float]]) -> None:
        write, dumps, now = self._file.write, json.dumps, time.time
        for name, value in pairs:
            write(dumps({"step": step, name: value, "timestamp": now()}) + "\n")

    def log_many(self, step: int, values: Mapping[str, float]) -> None:
        self._file.write(json.dumps({"step": step, "timestamp": time.time(), **values}) + "\n")

    def flush(self) -> None:
        import os

        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()

    def open_reader(self, path: pathlib.Path) -> None:
        self._path = path / "metrics.jsonl"

    def read_series(self, name: str) -> tuple[Sequence[float], Sequence[float]]:
        steps, values = [], []
        with self._path.open(encoding="utf-8") as file:
            for line in file:
                if name in (row := json.loads(line)):
                    steps.append(row["step"])
                    values.append(row[name])
        return steps, values

    def count(self, names: Sequence[str]) -> int:
        wanted, found = set(names), 0
        with self._path.open(encoding="utf-8") as file:
            for line in file:
                if line.endswith("\n"):  # the last line may be incomplete
                    found += len(wanted & json.loads(line).keys())
        return found
