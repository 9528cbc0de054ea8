"""Optimizers: when a training step ends, and what gradients are worth at that moment, without a line in the loop.

A step ends when every followed optimizer has stepped, or when one of them steps a second time before the others have.
A step that `GradScaler` skips never reaches the optimizer, so the scaler's own `step` is watched as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch.amp.grad_scaler import GradScaler

from holter.torch._patches import Patch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor
    from torch.optim import Optimizer
    from torch.utils.hooks import RemovableHandle


class StepListener(Protocol):
    """Who is told of the optimizers' steps."""

    def gather(self, parameters: list[Tensor], scale: Tensor | None, found_inf: Tensor | None) -> None:
        """The gradients of these parameters are complete now."""

    def skipped(self) -> None:
        """The gradients had overflowed: the optimizer will not run."""

    def step_ended(self) -> None:
        """Every optimizer has done its part of the step."""


def optimizers_of(optimizer: Optimizer | Sequence[Optimizer] | None) -> tuple[Optimizer, ...]:
    if optimizer is None:
        return ()
    optimizers = tuple(optimizer) if isinstance(optimizer, (list, tuple)) else (optimizer,)
    for one in optimizers:
        # Wrappers (of other libraries) look like optimizers and may not have the hooks.
        if not hasattr(one, "register_step_pre_hook"):
            raise TypeError(f"optimizer must be a torch.optim.Optimizer or several, not {type(one).__name__}")
    return optimizers


class Optimizers:
    """Follows one or several optimizers."""

    def __init__(self, optimizers: Sequence[Optimizer], listener: StepListener) -> None:
        self._optimizers = tuple(optimizers)
        self._listener = listener
        self._stepped: set[int] = set()
        self._steps_seen = 0
        self._handles: list[RemovableHandle] = []
        for optimizer in self._optimizers:
            self._handles.append(optimizer.register_step_pre_hook(self._before))
            self._handles.append(optimizer.register_step_post_hook(self._after))
        _scaler_steps.add(self)

    def close(self) -> None:
        """Take every hook off."""
        _scaler_steps.remove(self)
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def scaler_step(self, optimizer: Optimizer, step: Callable[[], Any]) -> Any:
        """Run a scaler's step of an optimizer, and notice if it left the optimizer out."""
        if not any(optimizer is one for one in self._optimizers):
            return step()
        before = self._steps_seen
        result = step()
        if self._steps_seen == before:
            self._begin(optimizer)
            self._listener.skipped()
            self._end(optimizer)
        return result

    def _before(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._steps_seen += 1
        self._begin(optimizer)
        if not _has_closure(args, kwargs):
            self._gather(optimizer)

    def _after(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        # A closure computes the gradients inside the step: only now are they there.
        if _has_closure(args, kwargs):
            self._gather(optimizer)
        self._end(optimizer)

    def _begin(self, optimizer: Optimizer) -> None:
        if id(optimizer) in self._stepped:
            self._stepped.clear()
            self._listener.step_ended()

    def _end(self, optimizer: Optimizer) -> None:
        self._stepped.add(id(optimizer))
        if len(self._stepped) == len(self._optimizers):
            self._stepped.clear()
            self._listener.step_ended()

    def _gather(self, optimizer: Optimizer) -> None:
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        # GradScaler leaves these two on an optimizer that unscales by itself, for the time of its step.
        self._listener.gather(
            parameters,
            _tensor_or_none(getattr(optimizer, "grad_scale", None)),
            _tensor_or_none(getattr(optimizer, "found_inf", None)),
        )


def _has_closure(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    # torch passes the bound arguments with the optimizer itself in front.
    return any(callable(argument) for argument in (*args[1:], *kwargs.values()) if not _is_scaler(argument))


def _is_scaler(value: Any) -> bool:
    return isinstance(value, GradScaler)


def _tensor_or_none(value: Any) -> Tensor | None:
    return value if isinstance(value, torch.Tensor) else None


def _scaler_step(
    listeners: tuple[Optimizers, ...],
    original: Callable[..., Any],
    scaler: GradScaler,
    optimizer: Optimizer,
    *args: Any,
    **kwargs: Any,
) -> Any:
    """Stands in for `GradScaler.step`."""

    def step() -> Any:
        return original(scaler, optimizer, *args, **kwargs)

    for listener in listeners:
        step = _watched(listener, optimizer, step)
    return step()


def _watched(listener: Optimizers, optimizer: Optimizer, step: Callable[[], Any]) -> Callable[[], Any]:
    return lambda: listener.scaler_step(optimizer, step)


_scaler_steps: Patch[Optimizers] = Patch(GradScaler, "step", _scaler_step)
