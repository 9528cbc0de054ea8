"""Clipping: `torch.nn.utils.clip_grad_norm_` seen as it happens, so that the norms recorded are those before it.

Training frameworks call it by that name; what was imported by its own name before the watch is seen a level below, in
the function that does the scaling. Where its arithmetic is the same as ours (2-norm, float32 gradients of one
device) the clipping is done with the norms that are recorded, which saves a pass over the gradients; the result is the
same to the bit.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch.nn.utils import clip_grad

from holter.torch._patches import Patch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from torch import Tensor


class ClipListener(Protocol):
    """Who is told before gradients are clipped."""

    def clipping(self, parameters: list[Tensor], max_norm: float | None) -> Tensor | None:
        """These parameters' gradients are about to be clipped, to this 2-norm (None: in some other way).

        Returns:
            Their total norm where the listener has clipped them itself, exactly as torch would have; None otherwise.
        """


def _clip_grad_norm(
    listeners: tuple[ClipListener, ...],
    original: Callable[..., Tensor],
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    *args: Any,
    **kwargs: Any,
) -> Tensor:
    """Stands in for `torch.nn.utils.clip_grad_norm_`."""
    several = _several(parameters)
    is_plain = float(norm_type) == 2.0 and not args and not kwargs
    total: Tensor | None = None
    with torch.no_grad():
        for listener in listeners:
            # Only the last one may clip: what it has clipped, nobody could take the norms of any more.
            may_clip = is_plain and listener is listeners[-1]
            total = listener.clipping(several, float(max_norm) if may_clip else None)
    return original(several, max_norm, norm_type, *args, **kwargs) if total is None else total


def _scale_down(
    listeners: tuple[ClipListener, ...],
    original: Callable[..., None],
    parameters: Tensor | Iterable[Tensor],
    *args: Any,
    **kwargs: Any,
) -> None:
    """Stands in for what `clip_grad_norm_` calls once it has the total norm, so also where that was imported early."""
    _tell(listeners, parameters := _several(parameters))
    original(parameters, *args, **kwargs)


def _clip_grad_value(
    listeners: tuple[ClipListener, ...],
    original: Callable[..., None],
    parameters: Tensor | Iterable[Tensor],
    *args: Any,
    **kwargs: Any,
) -> None:
    """Stands in for `torch.nn.utils.clip_grad_value_`."""
    _tell(listeners, parameters := _several(parameters))
    original(parameters, *args, **kwargs)


def tell_others(listener: ClipListener, parameters: Sequence[Tensor]) -> None:
    """Tell all who listen, except this one, that it is about to clip these parameters' gradients."""
    others = (other for other in clip_calls[0].listeners if other is not listener)
    _tell(tuple(others), list(parameters))


def _several(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [parameters] if isinstance(parameters, torch.Tensor) else list(parameters)


def _tell(listeners: tuple[ClipListener, ...], parameters: list[Tensor]) -> None:
    with torch.no_grad():
        for listener in listeners:
            listener.clipping(parameters, None)


_INSIDE = "_clip_grads_with_norm_"
_SEES_INSIDE = hasattr(clip_grad, _INSIDE)

clip_calls: tuple[Patch[ClipListener], ...] = (
    Patch(torch.nn.utils, "clip_grad_norm_", _clip_grad_norm),
    Patch(torch.nn.utils, "clip_grad_value_", _clip_grad_value),
    *([Patch(clip_grad, _INSIDE, _scale_down)] if _SEES_INSIDE else []),
)


def unseen_clipping() -> list[str]:
    """Functions that clip and that were imported by name before a watch could replace them, as `module.function`.

    Where these are called the gradients have been clipped before anything of ours can look at them.
    """
    names = ["clip_grad_value_"] if _SEES_INSIDE else ["clip_grad_norm_", "clip_grad_value_"]
    originals = {name: getattr(clip_grad, name) for name in names}
    return [
        f"{path}.{name}"
        for path, module in sys.modules.copy().items()
        if module is not None and not path.startswith("torch.")
        for name, original in originals.items()
        if getattr(module, "__dict__", {}).get(name) is original
    ]
