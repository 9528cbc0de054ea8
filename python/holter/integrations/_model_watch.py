"""Watches a framework's training with `holter.torch.watch`, on every process that must take part.

Usually the main process watches. If parameters are sharded (FSDP2, tensor parallelism), every process must watch:
gradient norms then need a reduction, which blocks until all processes join it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from holter.integrations._lazy_logger import LazyLogger
from holter.torch import Watch, watch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn
    from torch.optim import Optimizer

    from holter import Logger


class ModelWatch:
    """Watches consecutive trainings.

    Args:
        options: Arguments of `holter.torch.watch`, without the model, the logger and the optimizer.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = dict(options)
        self._watch: Watch | None = None
        self._rank_logger: LazyLogger | None = None
        self._commits_manually = False

    @property
    def current(self) -> Watch | None:
        """The active watch of this process; None if it does not watch."""
        return self._watch

    def start(self, model: nn.Module, optimizers: Sequence[Optimizer], main: LazyLogger | None) -> None:
        """Watch a model, unless another process does. All processes must call this together.

        Args:
            model: The model being trained.
            optimizers: The optimizers to follow; if empty, call `commit_step` after each step.
            main: The logger of the main process; None on the others.

        Raises:
            TypeError, ValueError: As `holter.torch.watch`.
        """
        self.stop()
        logger = self._open_logger(model, main)
        if logger is not None:
            self._commits_manually = not optimizers
            self._watch = watch(model, logger, list(optimizers) or None, **self._options)

    def set_step(self, step: int) -> None:
        """Set the current step. It never decreases, so that no recorded point is replaced."""
        if self._watch is not None and self._watch.step < step:
            self._watch.step = step

    def commit_step(self) -> None:
        """Commit the step if no optimizer is followed. The gradients must be complete and not yet cleared."""
        if self._watch is not None and self._commits_manually:
            self._watch.commit()

    def stop(self, *, has_failed: bool = False) -> None:
        """Stop watching, and close the run of this rank if it was opened for the watch. Can be called repeatedly."""
        running, self._watch = self._watch, None
        logger, self._rank_logger = self._rank_logger, None
        if running is not None:
            running.close()
        if logger is not None:
            logger.close(has_failed=has_failed)

    def _open_logger(self, model: nn.Module, main: LazyLogger | None) -> Logger | None:
        """Open the logger of this process; return None if it need not watch."""
        if not _is_sharded(model):
            return main.open() if main is not None else None
        logger = main.open() if main is not None else None
        path = [main.path if main is not None else None]  # final only now that the run is open
        torch.distributed.broadcast_object_list(path)
        if logger is not None:
            return logger
        if path[0] is None:
            raise RuntimeError("the process of rank 0 does not record a run, so the other ranks cannot join it")
        self._rank_logger = LazyLogger(path[0], rank=torch.distributed.get_rank(), resume="allow")
        return self._rank_logger.open()

    def __getstate__(self) -> dict[str, Any]:
        """Return the options alone: an active watch stays in its process."""
        return {"_options": self._options, "_watch": None, "_rank_logger": None, "_commits_manually": False}


def _is_sharded(model: nn.Module) -> bool:
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return False
    from torch.distributed.tensor import DTensor

    return any(isinstance(parameter, DTensor) for parameter in model.parameters())
