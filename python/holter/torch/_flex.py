"""FlexAttention calls, including the user's functions of scores and positions.

Those functions are written for single numbers. Here they run for the sampled queries only, vectorized over all keys,
like FlexAttention's own reference implementation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from holter.torch._attention_call import AttentionCall, make_call
from holter.torch._patches import ATTENTION, Patches

if TYPE_CHECKING:
    from collections.abc import Callable

    from holter.torch._compiled import CallListener

try:
    from torch.nn.attention import flex_attention as _module
except ImportError:  # a torch without FlexAttention
    _module = None  # type: ignore[assignment]


def split_mask(mask: Any) -> tuple[Tensor | None, Any]:
    """Return a mask as `(tensor, BlockMask)`, one of which is None."""
    is_block_mask = _module is not None and isinstance(mask, _module.BlockMask)
    return (None, mask) if is_block_mask else (mask, None)


def with_functions(
    call: AttentionCall, block_mask: Any = None, score_function: Callable[..., Tensor] | None = None
) -> AttentionCall:
    """Add FlexAttention's functions of scores and positions to a call.

    Args:
        call: The call. It must not have a mask if there is a block mask.
        block_mask: A BlockMask, or None.
        score_function: A `score_mod` function, or None.
    """
    if block_mask is None and score_function is None:
        return call
    batch, heads = call.query.shape[:2]

    def adjust(scores: Tensor, rows: Tensor) -> Tensor:
        device = scores.device
        indices = (
            torch.arange(batch, device=device, dtype=torch.int32),
            torch.arange(heads, device=device, dtype=torch.int32),
            rows.to(torch.int32),
            torch.arange(scores.shape[-1], device=device, dtype=torch.int32),
        )
        with _Indexing():
            if score_function is not None:
                scores = _vectorized(score_function, takes_score=True)(scores, *indices).to(torch.float32)
            if block_mask is not None:
                visible = _vectorized(block_mask.mask_mod, takes_score=False)(*indices)
                scores = scores.masked_fill(~visible, float("-inf"))
        return scores

    return call.adjusted(adjust)


def _vectorized(function: Callable[..., Any], *, takes_score: bool) -> Callable[..., Tensor]:
    """Vectorize a function of a single batch, head, query and key index over all of them."""
    first = (0,) if takes_score else ()
    for dims in ((None, None, None, 0), (None, None, 0, None), (None, 0, None, None), (0, None, None, None)):
        function = torch.vmap(function, in_dims=first + dims)
    return function


class _Indexing(TorchFunctionMode):
    """Makes `table[index]` a lookup on the device if `index` is a 0-d tensor, without copying its value to the host."""

    def __torch_function__(
        self, function: Callable[..., Any], _types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if function is Tensor.__getitem__:
            indices = args[1] if isinstance(args[1], tuple) else (args[1],)
            kinds = [type(index) for index in indices]
            if any(issubclass(kind, Tensor) for kind in kinds) and all(
                issubclass(kind, (Tensor, int)) for kind in kinds
            ):
                device = args[0].device
                index_tensors = [
                    index if isinstance(index, Tensor) else torch.full((), index, dtype=torch.int64, device=device)
                    for index in indices
                ]
                return torch.ops.aten.index(args[0], index_tensors)
        return function(*args, **(kwargs or {}))


def _flex(listeners: tuple[CallListener, ...], original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Replace `flex_attention`."""
    if torch.compiler.is_dynamo_compiling():
        for listener in listeners if _is_plain(*args, **kwargs) else ():
            listener.targets.attend(_call(*args, **kwargs))
    elif not torch.compiler.is_compiling():
        for listener in listeners:
            listener.on_call(lambda: _call(*args, **kwargs))
    return original(*args, **kwargs)


def _is_plain(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    score_mod: Any = None,
    block_mask: Any = None,
    *_rest: Any,
    **_others: Any,
) -> bool:
    """Return whether a call has neither a score function nor a block mask."""
    del query, key, value
    return score_mod is None and block_mask is None


def _call(  # noqa: PLR0917  torch's own signature
    query: Tensor,
    key: Tensor,
    value: Tensor,
    score_mod: Callable[..., Tensor] | None = None,
    block_mask: Any = None,
    scale: float | None = None,
    *_rest: Any,
    **_others: Any,
) -> AttentionCall | None:
    """Return the call."""
    del value
    found = make_call(query, key, scale=scale)
    return None if found is None else with_functions(found, block_mask, score_mod)


flex_calls: list[Patches[CallListener]] = (
    [] if _module is None else [Patches(_module, "flex_attention", _flex, ATTENTION)]
)
"""The patches of `flex_attention`; empty if torch does not have it."""
