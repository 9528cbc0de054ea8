"""`nn.MultiheadAttention` where it forms its weights itself (`need_weights=True`): its call, as it passes by.

The weights that it returns are averaged over heads and come after dropout, so neither entropy nor sparsity can be had
from them; queries and keys are projected once more instead. Where it calls `scaled_dot_product_attention` that call is
seen, and nothing is done here, except in code that torch.compile traces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import torch
import torch.nn.functional as F

from holter.torch._attention_math import AttentionCall
from holter.torch._patches import Patch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from holter.torch._compiled import AttentionPulse


class CallListener(Protocol):
    """Who is told of attention calls in the module that is being run."""

    pulse: AttentionPulse

    def seen(self, call: Callable[[], AttentionCall | None]) -> None:
        """An attention call passed by."""


def _forward(listeners: tuple[CallListener, ...], original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Stands in for `multi_head_attention_forward`."""
    if torch.compiler.is_dynamo_compiling():
        # Dynamo takes the original as one operator, so that nothing it calls is seen.
        kwargs_with_weights = {**kwargs, "need_weights": True}
        for listener in listeners:
            listener.pulse.attend(_call(*args, **kwargs_with_weights))
    elif not torch.compiler.is_compiling():  # torch's own tracing goes through the patched function once more
        for listener in listeners:
            listener.seen(lambda: _call(*args, **kwargs))
    return original(*args, **kwargs)


def _call(  # noqa: PLR0917  torch's own signature
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,  # noqa: FBT001  as above
    *_rest: Any,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    key_padding_mask: Tensor | None = None,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    **_others: Any,
) -> AttentionCall | None:
    """The call; None where it will be seen anyway, or where keys are added to the given ones.

    What follows the weights is given by name, as `nn.MultiheadAttention` does.
    """
    del value, embed_dim_to_check, bias_v
    if not need_weights or bias_k is not None or add_zero_attn:
        return None
    if in_proj_weight is not None:
        q_proj_weight, k_proj_weight, _ = in_proj_weight.chunk(3)
    if q_proj_weight is None or k_proj_weight is None:
        return None
    query_bias, key_bias, _ = (None, None, None) if in_proj_bias is None else in_proj_bias.chunk(3)
    with torch.no_grad():
        queries = _heads(F.linear(query.detach(), q_proj_weight, query_bias), num_heads)
        keys = _heads(F.linear(key.detach(), k_proj_weight, key_bias), num_heads)
        mask = _mask(attn_mask, key_padding_mask, len(queries), num_heads)
    return AttentionCall(queries, keys, mask)


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
