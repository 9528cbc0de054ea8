"""Clipping functions of `torch.nn.utils`, patched so that gradient norms are recorded before clipping.

Training frameworks call these functions through their module. A `clip_grad_norm_` that was imported by name before the
watch is observed one level below, in the function that scales the gradients. If torch uses the arithmetic of
`Gradients` (2-norm, float32 gradients on one device), the recorded norms are also used to clip. That saves a pass over
the gradients, and the result is bit-identical.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch.nn.utils import clip_grad

from holter.torch._patches import Patch, original_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from torch import Tensor


class ClipListener(Protocol):
    """Receives a callback before gradients are clipped."""

    def on_clip(self, parameters: list[Tensor], max_norm: float | None) -> Tensor | None:
        """Handle the clipping of these parameters' gradients before it happens.

        Args:
            parameters: The parameters whose gradients are about to be clipped.
            max_norm: The maximum total 2-norm if the listener may clip; None otherwise.

        Returns:
            The total norm if the listener has clipped the gradients, bit-identically to torch; None otherwise.
        """


def _clip_grad_norm(
    listeners: tuple[ClipListener, ...], original: Callable[..., Tensor], *args: Any, **kwargs: Any
) -> Tensor:
    """Replace `torch.nn.utils.clip_grad_norm_`, or the function that other code has put in its place."""
    args, kwargs, parameters = _with_list(args, kwargs)
    max_norm = _plain_max_norm(*args, **kwargs) if _is_torchs(original) else None
    total: Tensor | None = None
    with torch.no_grad():
        for listener in listeners:
            # Only the last listener may clip: the others need the norms of the unclipped gradients.
            total = listener.on_clip(parameters, max_norm if listener is listeners[-1] else None)
    return original(*args, **kwargs) if total is None else total


def _plain_max_norm(
    parameters: Any = None, max_norm: Any = None, norm_type: Any = 2.0, *args: Any, **kwargs: Any
) -> float | None:
    """Return the maximum norm of a call that a watch can compute as torch does; None for any other call."""
    del parameters
    if args or kwargs or not isinstance(max_norm, (int, float)) or norm_type not in (2, 2.0):
        return None
    return float(max_norm)


def _is_torchs(function: Any) -> bool:
    """Return whether a function is torch's `clip_grad_norm_`, and the functions that it calls are torch's as well."""
    used = [function, *(patch.original for patch in clip_calls[3:]), getattr(clip_grad, "_get_total_norm", None)]
    codes = [getattr(original_of(each), "__code__", None) for each in used if each is not None]
    return all(code is not None and code.co_filename == clip_grad.__file__ for code in codes)


def _notify_and_call(
    listeners: tuple[ClipListener, ...], original: Callable[..., None], *args: Any, **kwargs: Any
) -> None:
    """Replace a function that changes gradients in place."""
    args, kwargs, parameters = _with_list(args, kwargs)
    _notify(listeners, parameters)
    original(*args, **kwargs)


def _with_list(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any], list[Tensor]]:
    """Return the arguments of a call and its parameters; an iterator of parameters becomes a list in both."""
    if args:
        parameters = _as_list(args[0])
        return ((args[0] if isinstance(args[0], torch.Tensor) else parameters), *args[1:]), kwargs, parameters
    parameters = _as_list(kwargs.get("parameters", ()))
    return args, {**kwargs, "parameters": parameters} if "parameters" in kwargs else kwargs, parameters


def notify_others(listener: ClipListener, parameters: Sequence[Tensor]) -> None:
    """Notify every listener except this one, which is about to clip these parameters' gradients."""
    others = (other for other in clip_calls[0].listeners if other is not listener)
    _notify(tuple(others), list(parameters))


def _as_list(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [parameters] if isinstance(parameters, torch.Tensor) else list(parameters)


def _notify(listeners: tuple[ClipListener, ...], parameters: list[Tensor]) -> None:
    with torch.no_grad():
        for listener in listeners:
            listener.on_clip(parameters, None)


# `clip_grad_norm_` calls this function once it has the total norm, so patching it also covers early imports.
_INNER = "_clip_grads_with_norm_"
_HAS_INNER = hasattr(clip_grad, _INNER)
_SCALING = "clip_grads_with_norm_"

clip_calls: tuple[Patch[ClipListener], ...] = (
    Patch(torch.nn.utils, "clip_grad_norm_", _clip_grad_norm),
    Patch(torch.nn.utils, "clip_grad_value_", _notify_and_call),
    Patch(clip_grad, "clip_grad_value_", _notify_and_call),
    *([Patch(clip_grad, _INNER, _notify_and_call)] if _HAS_INNER else []),
    *([Patch(torch.nn.utils, _SCALING, _notify_and_call)] if hasattr(torch.nn.utils, _SCALING) else []),
)


def replaced_clip_functions() -> list[str]:
    """Return the clipping functions that other code has replaced since a watch patched them."""
    return [patch.name for patch in clip_calls if patch.is_replaced]


def unobserved_clip_functions() -> list[str]:
    """Return the clipping functions that were imported by name too early to be patched, as `module.function`.

    A call of such a function clips the gradients before a watch can measure them.
    """
    names = ["clip_grad_value_"] if _HAS_INNER else ["clip_grad_norm_", "clip_grad_value_"]
    originals = {name: original_of(getattr(clip_grad, name)) for name in names}
    return [
        f"{path}.{name}"
        for path, module in sys.modules.copy().items()
        if module is not None and not path.startswith("torch.")
        for name, original in originals.items()
        if getattr(module, "__dict__", {}).get(name) is original
    ]
