"""trainscope, which records its own measurements; plugins add custom metrics."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from peers.recorder import Recorder, Way


class Step:
    """The values that the plugin returns next."""

    values: ClassVar[Mapping[str, float]] = {}


class Trainscope(Recorder):
    """A scope on a tiny model, with one plugin that returns the step's metrics.

    For the model it records one row per step, and a histogram every 50 steps.
    """

    title = "trainscope"
    requirements = ("click>=8.1", "fsspec", "numpy>=1.26", "pyarrow>=14", "pyyaml>=6", "fastapi", "scipy", "uvicorn")
    without_dependencies = ("trainscope==1.8.1",)
    shared = ("torch",)
    settings = (
        "A `MetricPlugin` that returns the step's metrics, a model of one parameter; "
        "`compaction_every_n_steps=100_000`, since it counts a plugin's rows, 100 or 200 per step"
    )
    durable = "`scope.writer.flush()` has returned: written to the page cache, not synced"
    reader = "`read_arrow_rows_sync`, which its pages call; it reads all series"
    ways = (Way("log_many", "`scope.step(loss)`, with a plugin", "mapping"),)
    scalar = None

    def prepare(self, path: pathlib.Path) -> None:
        del path
        import torch
        import trainscope
        from trainscope.core.config import TrainScopeConfig
        from trainscope.io.writer import read_arrow_rows_sync

        self._torch: Any = torch
        self._trainscope: Any = trainscope
        self._config: Any = TrainScopeConfig
        self._read: Any = read_arrow_rows_sync

    def open(self, path: pathlib.Path, names: Sequence[str]) -> None:
        del names
        model = self._torch.nn.Linear(1, 1, bias=False)
        optimizer = self._torch.optim.SGD(model.parameters(), lr=0.1)
        config = self._config(
            run_dir=str(path), run_name="run", metric_plugins=[f"{__name__}.Plugin"], compaction_every_n_steps=100_000
        )
        self._scope = self._trainscope.TrainScope(model, optimizer, config=config).attach()

    def log_many(self, step: int, values: Mapping[str, float]) -> None:
        Step.values = values
        self._scope.step(0.5, batch_index=step)

    def flush(self) -> None:
        self._scope.writer.flush()

    def close(self) -> None:
        self._scope.detach()

    def open_reader(self, path: pathlib.Path) -> None:
        self._rows = self._read(path / "run" / "plugin_metrics.arrow")

    def read_series(self, name: str) -> tuple[Sequence[float], Sequence[float]]:
        rows = [row for row in self._rows if row["metric"] == name]
        return [row["step"] for row in rows], [row["value"] for row in rows]

    def count(self, names: Sequence[str]) -> int:
        wanted = set(names)
        return sum(row["metric"] in wanted for row in self._rows)


def __getattr__(name: str) -> Any:
    """Create the plugin's class when trainscope imports it by path: its base class is trainscope's."""
    if name != "Plugin":
        raise AttributeError(name)
    from trainscope.plugins import MetricPlugin

    class Plugin(MetricPlugin):  # type: ignore[misc, unused-ignore]
        name: ClassVar[str] = "bench"

        def compute(self, model: Any, optimizer: Any, step: int) -> Mapping[str, float]:
            del model, optimizer, step
            return Step.values

    return Plugin
