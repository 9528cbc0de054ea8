"""`nn.MultiheadAttention` where it forms its weights itself (`need_weights=True`): its call, as it passes by.

The weights that it returns are averaged over heads and come after dropout, so neither entropy nor sparsity can be had
from them; queries and keys are projected once more instead. Where it calls `scaled_dot_product_attention` that call is
seen, and nothing is done here.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Protocol

import torch
import torch.nn.functional as F

from ._attention_math import AttentionCall
from ._patches import Patch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


class CallListener(Protocol):
    """Who is told of attention calls in the module that is being run."""

    def seen(self, call: Callable[[], AttentionCall | None]) -> None:
        """An attention call passed by."""


_SIGNATURE = inspect.signature(F.multi_head_attention_forward)


def _forward(listeners: tuple[CallListener, ...], original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Stands in for `multi_head_attention_forward`."""
    if not torch.compiler.is_compiling():
        for listener in listeners:
            listener.seen(lambda: _call(*args, **kwargs))
    return original(*args, **kwargs)


def _call(*args: Any, **kwargs: Any) -> AttentionCall | None:
    """The call; None where it will be seen anyway, or where keys are added to the given ones."""
    bound = _SIGNATURE.bind(*args, **kwargs)
    bound.apply_defaults()
    given = bound.arguments
    if not given["need_weights"] or given["bias_k"] is not None or given["add_zero_attn"]:
        return None
    heads = given["num_heads"]
    weights: list[Tensor]
    if given["use_separate_proj_weight"]:
        weights = [given["q_proj_weight"], given["k_proj_weight"]]
    else:
        weights = list(given["in_proj_weight"].chunk(3))[:2]
    biases = [None, None] if given["in_proj_bias"] is None else given["in_proj_bias"].chunk(3)[:2]
    with torch.no_grad():
        query, key = (
            _heads(F.linear(given[name].detach(), weight, bias), heads)
            for name, weight, bias in zip(("query", "key"), weights, biases, strict=True)
        )
        mask = _mask(given["attn_mask"], given["key_padding_mask"], len(query), heads)
    return AttentionCall(query, key, mask)


def _heads(projected: Tensor, heads: int) -> Tensor:
    """`[tokens, batch, heads · width]`, or without a batch, to `[batch, heads, tokens, width]`."""
    if projected.ndim == 2:
        projected = projected.unsqueeze(1)
    return projected.view(*projected.shape[:2], heads, -1).permute(1, 2, 0, 3)


def _mask(attention_mask: Tensor | None, padding_mask: Tensor | None, batch: int, heads: int) -> Tensor | None:
    """One additive mask of both; in this function's own masks True means hidden."""
    total: Tensor | None = None
    if attention_mask is not None:
        total = _additive(attention_mask)
        if total.ndim == 3:
            total = total.view(batch, heads, *total.shape[1:])
    if padding_mask is not None:
        padding = _additive(padding_mask)
        padding = padding.reshape(-1, 1, 1, padding.shape[-1])
        total = padding if total is None else total + padding
    return total


def _additive(mask: Tensor) -> Tensor:
    if mask.dtype != torch.bool:
        return mask.detach()
    return torch.zeros_like(mask, dtype=torch.float32).masked_fill_(mask, float("-inf"))


multihead_calls: Patch[CallListener] = Patch(F, "multi_head_attention_forward", _forward)
