"""Optimizer hooks that detect when gradients are complete and when a training step ends.

A step ends when every followed optimizer has stepped, or when an optimizer steps again before the others have stepped.
A step that `GradScaler` skips never reaches the optimizer, so `GradScaler.step` is patched as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch.amp.grad_scaler import GradScaler

from holter.torch._patches import Patch
from holter.torch._tracing import is_fake

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor
    from torch.optim import Optimizer
    from torch.utils.hooks import RemovableHandle


class StepListener(Protocol):
    """Receives callbacks for the optimizers' steps."""

    def on_gradients(self, parameters: list[Tensor], scale: Tensor | None, found_inf: Tensor | None) -> None:
        """Handle the completed gradients of these parameters.

        Args:
            parameters: The optimizer's parameters.
            scale: The factor that the gradients are still multiplied by; None for 1.
            found_inf: A one-element tensor, nonzero if the gradients overflowed; None if they did not.
        """

    def on_skipped_step(self) -> None:
        """Handle overflowed gradients, because of which the scaler skips an optimizer."""

    def on_step_end(self) -> None:
        """Handle the end of a step: every optimizer has stepped."""


def resolve_optimizers(optimizer: Optimizer | Sequence[Optimizer] | None) -> tuple[Optimizer, ...]:
    """Normalize the `optimizer` argument of `watch`.

    Raises:
        TypeError: If an element does not have the hooks of a `torch.optim.Optimizer`.
    """
    if optimizer is None:
        return ()
    optimizers = tuple(optimizer) if isinstance(optimizer, (list, tuple)) else (optimizer,)
    for each in optimizers:
        # Wrappers of other libraries look like optimizers but may not have the hooks.
        if not hasattr(each, "register_step_pre_hook"):
            raise TypeError(
                f"optimizer must be a torch.optim.Optimizer or a sequence of them, not {type(each).__name__}; for a "
                "wrapper, pass the optimizer inside it, or pass None and call commit() after each backward pass"
            )
    return optimizers


class Optimizers:
    """Follows one or more optimizers."""

    def __init__(self, optimizers: Sequence[Optimizer], listener: StepListener) -> None:
        self._optimizers = tuple(optimizers)
        self._listener = listener
        self._stepped: set[int] = set()
        self._num_steps = 0
        self._handles: list[RemovableHandle] = []
        for optimizer in self._optimizers:
            self._handles.append(optimizer.register_step_pre_hook(self._before))
            self._handles.append(optimizer.register_step_post_hook(self._after))
        _scaler_steps.add(self)

    def close(self) -> None:
        """Remove every hook."""
        _scaler_steps.remove(self)
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def scaler_step(self, optimizer: Optimizer, step: Callable[[], Any]) -> Any:
        """Run a scaler's step of an optimizer, and detect whether it skipped the optimizer."""
        if not any(optimizer is followed for followed in self._optimizers):
            return step()
        before = self._num_steps
        result = step()
        if self._num_steps == before and not is_fake():
            self._begin(optimizer)
            self._listener.on_skipped_step()
            self._end(optimizer)
        return result

    def _before(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if is_fake():
            return
        self._num_steps += 1
        self._begin(optimizer)
        if not _has_closure(args, kwargs):
            self._gather(optimizer)

    def _after(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if is_fake():
            return
        # A closure computes the gradients inside the step, so they are complete only now.
        if _has_closure(args, kwargs):
            self._gather(optimizer)
        self._end(optimizer)

    def _begin(self, optimizer: Optimizer) -> None:
        if id(optimizer) in self._stepped:
            self._stepped.clear()
            self._listener.on_step_end()

    def _end(self, optimizer: Optimizer) -> None:
        self._stepped.add(id(optimizer))
        if len(self._stepped) == len(self._optimizers):
            self._stepped.clear()
            self._listener.on_step_end()

    def _gather(self, optimizer: Optimizer) -> None:
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        # GradScaler sets these two attributes during the step of an optimizer that unscales gradients internally.
        self._listener.on_gradients(
            parameters,
            _tensor_or_none(getattr(optimizer, "grad_scale", None)),
            _tensor_or_none(getattr(optimizer, "found_inf", None)),
        )


def _has_closure(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    # torch passes the optimizer itself as the first positional argument.
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
    """Replace `GradScaler.step`."""

    def step() -> Any:
        return original(scaler, optimizer, *args, **kwargs)

    for listener in listeners:
        step = _observed(listener, optimizer, step)
    return step()


def _observed(listener: Optimizers, optimizer: Optimizer, step: Callable[[], Any]) -> Callable[[], Any]:
    return lambda: listener.scaler_step(optimizer, step)


_scaler_steps: Patch[Optimizers] = Patch(GradScaler, "step", _scaler_step)
