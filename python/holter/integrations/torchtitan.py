"""torchtitan: a logger beside its own for TensorBoard and Weights & Biases.

    logger = HolterLogger("runs/run-1", config_dict=config.to_dict())
    trainer.metrics_processor.logger.add_logger(logger)

torchtitan has that container on the process that logs, if TensorBoard or Weights & Biases is switched on;
docs/integrations.md shows a MetricsProcessor that needs neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torchtitan.components.metrics import BaseLogger

from ._lazy_logger import LazyLogger

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    import holter

__all__ = ["HolterLogger"]


class HolterLogger(BaseLogger):
    """Records torchtitan's metrics by their own names.

    Made on the process that torchtitan logs on, which under pipeline parallelism is not that of rank 0: its
    `LoggerContainer` is there on that process alone. The arguments are those of torchtitan's own loggers.

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
