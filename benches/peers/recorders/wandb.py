"""Weights & Biases, offline."""

import json
import os
import pathlib
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from peers.recorder import Recorder, Way


class Wandb(Recorder):
    """An offline run: the service `wandb-core` writes the process's messages into one `.wandb` file."""

    title = "wandb, offline"
    requirements = ("wandb==0.31.0",)
    settings = '`wandb.init(mode="offline")`, defaults'
    durable = "`run.finish()` has returned: the file is synced"
    reader = "`wandb leet inspect --json`, calling the binary directly; it prints the whole file"
    ways = (
        Way("log", "`run.log({name: value}, step=step)`", "pairs"),
        Way("log_many", "`run.log(values, step=step)`", "mapping"),
    )
    has_flush = False

    def prepare(self, path: pathlib.Path) -> None:
        os.environ |= {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_DIR": str(path)}
        import wandb

        self._wandb: Any = wandb

    def open(self, path: pathlib.Path, names: Sequence[str]) -> None:
        del names
        self._run = self._wandb.init(project="bench", dir=str(path))

    def log(self, step: int, pairs: Sequence[tuple[str, float]]) -> None:
        run = self._run
        for name, value in pairs:
            run.log({name: value}, step=step)

    def log_many(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(values, step=step)

    def close(self) -> None:
        self._run.finish()

    def open_reader(self, path: pathlib.Path) -> None:
        self._file = next(path.rglob("*.wandb"))

    def _rows(self) -> Iterator[dict[str, Any]]:
        core = pathlib.Path(self._wandb.__file__).parent / "bin" / "wandb-core"
        words = ["leet", "inspect", "--no-observability", "--json", "--run-file", str(self._file)]
        command = [str(core), *words, str(self._file.parent)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if (record := json.loads(line)).get("type") == "history":
                    yield record["history"]["item"]

    def read_series(self, name: str) -> tuple[Sequence[float], Sequence[float]]:
        rows = [row for row in self._rows() if name in row]
        return [row["_step"] for row in rows], [row[name] for row in rows]

    def count(self, names: Sequence[str]) -> int:
        wanted = set(names)
        return sum(len(wanted & row.keys()) for row in self._rows())
