"""Aim, with a local repository."""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from peers.recorder import Recorder, Way


class Aim(Recorder):
    """A run in a local repository, which is RocksDB."""

    title = "Aim"
    requirements = ("aim==3.29.1",)
    settings = "`Run(repo=path)`, without system tracking and terminal capture"
    durable = "`run.close()` has returned: RocksDB is synced"
    reader = "`Run(run_hash, read_only=True).get_metric(…).data.numpy()`, after indexing the run as `aim up` does"
    ways = (
        Way("log", "`run.track(value, name=name, step=step)`", "pairs"),
        Way("log_many", "`run.track(values, step=step)`", "mapping"),
    )
    has_flush = False

    def prepare(self, path: pathlib.Path) -> None:
        del path
        os.environ["__AIM_ANALYTICS_ENABLED__"] = "0"
        import aim
        from aim.sdk.index_manager import RepoIndexManager
        from aim.storage.context import Context

        self._aim: Any = aim
        self._index: Any = RepoIndexManager
        self._context = Context({})

    def open(self, path: pathlib.Path, names: Sequence[str]) -> None:
        del names
        self._run = self._aim.Run(repo=str(path), system_tracking_interval=None, capture_terminal_logs=False)

    def log(self, step: int, pairs: Sequence[tuple[str, float]]) -> None:
        track = self._run.track
        for name, value in pairs:
            track(value, name=name, step=step)

    def log_many(self, step: int, values: Mapping[str, float]) -> None:
        self._run.track(values, step=step)

    def close(self) -> None:
        self._run.close()

    def open_reader(self, path: pathlib.Path) -> None:
        repository = self._aim.Repo(str(path))
        (run_hash,) = repository.list_all_runs()
        if not (path / "indexed").exists():
            self._index.get_index_manager(repository).index(run_hash)
            (path / "indexed").touch()
            repository = self._aim.Repo(str(path))
        self._run = self._aim.Run(run_hash=run_hash, repo=repository, read_only=True)

    def read_series(self, name: str) -> tuple[Sequence[float], Sequence[float]]:
        metric = self._run.get_metric(name, self._context)
        if metric is None:
            return [], []
        steps, (values, *_) = metric.data.numpy()
        return steps, values
