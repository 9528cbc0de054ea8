"""Holter records training runs: every metric of every layer at every step, at almost no cost.

    import holter

    with holter.Logger("runs/run-2", config={"lr": 3e-4}) as logger:
        for step, batch in enumerate(loader):
            loss = train_step(model, batch)
            logger.log(step, "train/loss", loss)

    holter.open_run("runs/run-2").series("train/loss").values
"""

from holter._config import Overflow
from holter._core import Health, Logger, Metric, Metrics, SinkHealth, __version__
from holter._run import Run, Series, list_runs, open_run
from holter.exceptions import (
    FlushTimeoutError,
    FormatVersionError,
    HolterError,
    HolterWarning,
    RunClosedError,
    StoreError,
)

__all__ = [
    "FlushTimeoutError",
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
    "Series",
    "SinkHealth",
    "StoreError",
    "__version__",
    "list_runs",
    "open_run",
]
