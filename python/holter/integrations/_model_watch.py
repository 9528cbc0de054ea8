"""A framework's training, watched by `holter.torch.watch` on every process that has to take part.

One process watches for all. Only where parameters are sharded (FSDP2, tensor parallelism) every process has to: their
gradients' norms need a reduction, in which a process that is missing would be waited for without end.
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
    """The watch of one training after the other.

    Args:
        options: arguments of `holter.torch.watch`, without the model, the logger and the optimizer.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = dict(options)
        self._watch: Watch | None = None
        self._part: LazyLogger | None = None
        self._commits = False

    @property
    def current(self) -> Watch | None:
        """The watch that goes on in this process; None if none does."""
        return self._watch

    def begin(self, model: nn.Module, optimizers: Sequence[Optimizer], main: LazyLogger | None) -> None:
        """Watch a model, unless another process does it for this one. All processes call this together.

        Args:
            model: the model that is trained.
            optimizers: the optimizers to follow; where there are none, `step_computed` has to be called.
            main: what the main process records with; None on the others.

        Raises:
            TypeError, ValueError: as `holter.torch.watch`.
        """
        self.end()
        logger = self._logger(model, main)
        if logger is not None:
            self._commits = not optimizers
            self._watch = watch(model, logger, list(optimizers) or None, **self._options)

    def step_begins(self, step: int) -> None:
        """Say which step is under way. Never goes back, so that nothing recorded is replaced."""
        if self._watch is not None and self._watch.step < step:
            self._watch.step = step

    def step_computed(self) -> None:
        """The gradients of a step are complete and not cleared yet: commit them where no optimizer is followed."""
        if self._watch is not None and self._commits:
            self._watch.commit()

    def end(self, *, has_failed: bool = False) -> None:
        """End the watch if one goes on, and close the part of the run that it alone wrote. May be called again."""
        running, self._watch = self._watch, None
        part, self._part = self._part, None
        if running is not None:
            running.close()
        if part is not None:
            part.close(has_failed=has_failed)

    def _logger(self, model: nn.Module, main: LazyLogger | None) -> Logger | None:
        """Where this process records what it sees; None if it need not look."""
        if not _is_sharded(model):
            return main.open() if main is not None else None
        path = [main.path if main is not None else None]
        torch.distributed.broadcast_object_list(path)
        if main is not None:
            return main.open()
        if path[0] is None:
            raise RuntimeError("the process of rank 0 records no run, so that the others cannot record theirs")
        self._part = LazyLogger(path[0], rank=torch.distributed.get_rank())
        return self._part.open()

    def __getstate__(self) -> dict[str, Any]:
        """What another process needs to watch: a watch that goes on stays where it is."""
        return {"_options": self._options, "_watch": None, "_part": None, "_commits": False}


def _is_sharded(model: nn.Module) -> bool:
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return False
    from torch.distributed.tensor import DTensor

    return any(isinstance(parameter, DTensor) for parameter in model.parameters())
