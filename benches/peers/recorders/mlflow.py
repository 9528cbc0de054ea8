"""MLflow with its SQLite store."""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from peers.recorder import Recorder, Way


class Mlflow(Recorder):
    """A run in a local database, which MLflow recommends without a server."""

    title = "MLflow"
    requirements = ("mlflow==3.17.2",)
    settings = '`set_tracking_uri("sqlite:///…")`, synchronous logging, defaults; telemetry off'
    durable = "the call has returned: committed to SQLite with `synchronous=FULL`, one sync per call"
    reader = "`MlflowClient.get_metric_history`"
    ways = (
        Way("log", "`mlflow.log_metric(name, value, step=step)`", "pairs"),
        Way("log_many", "`mlflow.log_metrics(values, step=step)`", "mapping"),
    )

    def prepare(self, path: pathlib.Path) -> None:
        os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
        import mlflow

        self._mlflow: Any = mlflow
        mlflow.set_tracking_uri(f"sqlite:///{path / 'mlflow.db'}")

    def open(self, path: pathlib.Path, names: Sequence[str]) -> None:
        del names
        self._mlflow.set_experiment(experiment_id=self._mlflow.create_experiment("bench", str(path / "artifacts")))
        self._mlflow.start_run(log_system_metrics=False)

    def log(self, step: int, pairs: Sequence[tuple[str, float]]) -> None:
        log_metric = self._mlflow.log_metric
        for name, value in pairs:
            log_metric(name, value, step=step)

    def log_many(self, step: int, values: Mapping[str, float]) -> None:
        self._mlflow.log_metrics(values, step=step)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self._mlflow.end_run()

    def open_reader(self, path: pathlib.Path) -> None:
        del path  # set by the tracking URI
        self._client = self._mlflow.MlflowClient()
        (experiment,) = self._client.search_experiments(filter_string="name = 'bench'")
        (run,) = self._client.search_runs([experiment.experiment_id])
        self._run_id = run.info.run_id

    def read_series(self, name: str) -> tuple[Sequence[float], Sequence[float]]:
        history = self._client.get_metric_history(self._run_id, name)
        return [metric.step for metric in history], [metric.value for metric in history]
