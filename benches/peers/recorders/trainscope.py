"""trainscope, which records what it measures itself; a metric of one's own comes in by its plugins."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from peers.recorder import Recorder, Way


class Step:
    """What the plugin returns next."""

    values: ClassVar[Mapping[str, float]] = {}


class Trainscope(Recorder):
    """A scope on the smallest model, with one plugin that returns the step's metrics.

    What it records of the model itself is one row a step, and a histogram each 50 steps.
    """

    title = "trainscope"
    requirements = ("click>=8.1", "fsspec", "numpy>=1.26", "pyarrow>=14", "pyyaml>=6", "fastapi", "scipy", "uvicorn")
    without_dependencies = ("trainscope==1.8.1",)
    lent = ("torch",)
    settings = (
        "A `MetricPlugin` that returns the step's metrics, a model of one parameter; "
        "`compaction_every_n_steps=100_000`, since of a plugin it counts rows, 100 or 200 a step"
    )
    durable = "`scope.writer.flush()` has returned: with the system, nothing is synced"
    reader = "`read_arrow_rows_sync`, as its own pages call it; it reads all series"
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

    def settle(self) -> None:
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
    """Make the plugin's class when trainscope asks for it by its path: its base is trainscope's."""
    if name != "Plugin":
        raise AttributeError(name)
    from trainscope.plugins import MetricPlugin

    class Plugin(MetricPlugin):  # type: ignore[misc, unused-ignore]
        name: ClassVar[str] = "bench"

        def compute(self, model: Any, optimizer: Any, step: int) -> Mapping[str, float]:
            del model, optimizer, step
            return Step.values

    return Plugin
