"""Holter records PyTorch training runs: every metric of every layer at every step, at almost no cost.

    with holter.Logger("runs/run-2", config={"lr": 3e-4}) as logger:
        for step, batch in enumerate(loader):
            loss = train_step(model, batch)
            logger.log(step, "train/loss", loss)

The run is plain files. `holter.open_run("runs/run-2")` reads them, during the training as well.
"""

from holter._config import Overflow
from holter._core import Health, Logger, Metric, Metrics, SinkHealth, __version__, recover
from holter.exceptions import (
    FlushTimeoutError,
    ForkedProcessError,
    FormatVersionError,
    HolterError,
    HolterWarning,
    RunClosedError,
    StoreError,
)

TYPE_CHECKING = False  # importing typing would cost more than everything else here
if TYPE_CHECKING:
    from holter import alerts as alerts
    from holter._buckets import Buckets
    from holter._find import list_runs, open_run
    from holter._run import Run
    from holter._runs_table import RunsTable, runs
    from holter._series import Series, SeriesFacts
del TYPE_CHECKING

__all__ = [
    "Buckets",
    "FlushTimeoutError",
    "ForkedProcessError",
    "FormatVersionError",
    "Health",
    "HolterError",
    "HolterWarning",
    "Logger",
    "Metric",
    "Metrics",
    "Overflow",
    "Run",
    "RunClosedError",
    "RunsTable",
    "Series",
    "SeriesFacts",
    "SinkHealth",
    "StoreError",
    "__version__",
    "list_runs",
    "open_run",
    "recover",
    "runs",
]

# Loaded on first use.
_READING = {
    "Buckets": "holter._buckets",
    "Run": "holter._run",
    "RunsTable": "holter._runs_table",
    "Series": "holter._series",
    "SeriesFacts": "holter._series",
    "list_runs": "holter._find",
    "open_run": "holter._find",
    "runs": "holter._runs_table",
}


def __getattr__(name: str) -> object:
    """Load the modules that read runs on first use, so that a training does not pay for them."""
    import importlib

    if name == "alerts":
        return importlib.import_module("holter.alerts")
    if name not in _READING:
        message = f"module 'holter' has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(importlib.import_module(_READING[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(globals().keys() | _READING.keys())
