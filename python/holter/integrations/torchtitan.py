"""torchtitan: a logger in the place of its own for TensorBoard and Weights & Biases, or beside them.

    if torch.distributed.get_rank() == 0:
        trainer.metrics_processor.logger = HolterLogger("runs/run-1", config_dict=config)

Where one of torchtitan's own is switched on, `trainer.metrics_processor.logger.add_logger(…)` puts it beside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torchtitan.components.metrics import BaseLogger

from holter.integrations._lazy_logger import LazyLogger

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    import holter

__all__ = ["HolterLogger"]


class HolterLogger(BaseLogger):
    """Records torchtitan's metrics by their own names.

    To be made on the process that torchtitan logs on: that of rank 0, under pipeline parallelism mostly the first one
    of the last stage. The arguments are those of torchtitan's own loggers.

    Args:
        log_dir: the run's directory; a run that is there is gone on with.
        config_dict: the job's configuration, kept with the run.
        tag: put before every metric's name, with a slash.
        settings: further arguments of `holter.Logger`, such as `tags`.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str],
        config_dict: Mapping[str, Any] | None = None,
        tag: str | None = None,
        **settings: Any,
    ) -> None:
        self._run = LazyLogger(log_dir, config=config_dict, **settings)
        self._run.open()
        self._prefix = f"{tag}/" if tag else ""

    @property
    def logger(self) -> holter.Logger:
        """The run's logger, for `holter.torch.watch`."""
        return self._run.open()

    def log(self, metrics: Mapping[str, Any], step: int) -> None:
        """Record what are numbers of the metrics."""
        self._run.record(step, {f"{self._prefix}{name}": value for name, value in metrics.items()})

    def close(self) -> None:
        """Close the run."""
        self._run.close()
