"""torchtitan: a logger that replaces or accompanies its loggers for TensorBoard and Weights & Biases.

    if torch.distributed.get_rank() == 0:
        trainer.metrics_processor.logger = HolterLogger("runs/run-1", config_dict=config)

If one of torchtitan's own loggers is enabled, use `trainer.metrics_processor.logger.add_logger(…)` instead.
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
    """Records torchtitan's metrics under their original names.

    Create it on the process on which torchtitan logs: rank 0, or with pipeline parallelism usually the first rank of
    the last stage. The arguments match those of torchtitan's own loggers.

    Args:
        log_dir: The run's directory. If it contains a completed run, a new run starts next to it; pass
            `resume="allow"` to resume it.
        config_dict: The job's configuration, stored with the run.
        tag: Prepended to every metric's name, with a slash.
        settings: Other arguments of `holter.Logger`, such as `tags`.
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
        """Record the metrics that are numbers."""
        self._run.record(step, {f"{self._prefix}{name}": value for name, value in metrics.items()})

    def close(self) -> None:
        """Close the run."""
        self._run.close()
