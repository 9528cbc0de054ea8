"""Clipping: `torch.nn.utils.clip_grad_norm_` seen as it happens, so that the norms recorded are those before it.

Training frameworks call it by that name. Where its arithmetic is the same as ours (2-norm, float32 gradients of one
device) the clipping is done with the norms that are recorded, which saves a pass over the gradients; the result is the
same to the bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import torch

from ._patches import Patch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

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
    several = [parameters] if isinstance(parameters, torch.Tensor) else list(parameters)
    is_plain = float(norm_type) == 2.0 and not args and not kwargs
    for listener in listeners:
        with torch.no_grad():
            total = listener.clipping(several, float(max_norm) if is_plain else None)
        if total is not None:
            return total
    return original(several, max_norm, norm_type, *args, **kwargs)


clip_calls: Patch[ClipListener] = Patch(torch.nn.utils, "clip_grad_norm_", _clip_grad_norm)
