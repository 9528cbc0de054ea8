"""Neptune's client for large runs, offline. The service was shut down; the client still records."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from peers.recorder import Recorder, Way


class Neptune(Recorder):
    """An offline run: each call is a transaction in SQLite, for a later upload."""

    title = "neptune-scale, offline"
    requirements = ("neptune-scale==0.30.0",)
    settings = '`Run(mode="offline")`, without capture of the console and the source'
    durable = "the call has returned: committed to SQLite, synced each time"
    reader = "`OperationsRepository.get_operations`, which `neptune sync` calls; it reads all series"
    ways = (
        Way("log", "`run.log_metrics({name: value}, step=step)`", "pairs"),
        Way("log_many", "`run.log_metrics(values, step=step)`", "mapping"),
    )

    def prepare(self, path: pathlib.Path) -> None:
        del path
        import neptune_scale
        from neptune_scale.sync.operations_repository import OperationsRepository, OperationType
        from neptune_scale.sync.parameters import MAX_SINGLE_OPERATION_SIZE_BYTES

        self._neptune: Any = neptune_scale
        self._repository: Any = OperationsRepository
        self._update: Any = OperationType.UPDATE_SNAPSHOT
        self._page_bytes = 8 * MAX_SINGLE_OPERATION_SIZE_BYTES

    def open(self, path: pathlib.Path, names: Sequence[str]) -> None:
        del names
        self._run = self._neptune.Run(
            project="bench/bench",
            run_id="run",
            mode="offline",
            log_directory=str(path),
            enable_console_log_capture=False,
            source_tracking_config=None,
        )

    def log(self, step: int, pairs: Sequence[tuple[str, float]]) -> None:
        log_metrics = self._run.log_metrics
        for name, value in pairs:
            log_metrics({name: value}, step=step)

    def log_many(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log_metrics(values, step=step)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self._run.close()

    def open_reader(self, path: pathlib.Path) -> None:
        (database,) = path.rglob("run_operations.sqlite3")
        repository = self._repository(database)
        self._operations, last = [], None
        while page := repository.get_operations(self._page_bytes, from_exclusive=last):
            self._operations += [each.operation for each in page if each.operation_type == self._update]
            last = page[-1].sequence_id

    def read_series(self, name: str) -> tuple[Sequence[float], Sequence[float]]:
        found = [operation for operation in self._operations if name in operation.append]
        return [operation.step.whole for operation in found], [each.append[name].float64 for each in found]

    def count(self, names: Sequence[str]) -> int:
        wanted = set(names)
        return sum(len(wanted.intersection(operation.append)) for operation in self._operations)
