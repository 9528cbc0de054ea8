"""Attention calls of `nn.MultiheadAttention` when it computes the weights itself (`need_weights=True`).

The weights that it returns are averaged over heads and include dropout, so neither entropy nor sparsity can be computed
from them; queries and keys are projected a second time instead. If it calls `scaled_dot_product_attention`, that call
is recorded and this patch does nothing, except in code that torch.compile traces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from holter.torch._attention_call import AttentionCall, UnknownAttentionError
from holter.torch._patches import Patch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from holter.torch._compiled import CallListener


def _forward(listeners: tuple[CallListener, ...], original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Replace `multi_head_attention_forward`."""
    if torch.compiler.is_dynamo_compiling():
        # Dynamo treats the original as a single operator, so the calls inside it are not traced.
        kwargs_with_weights = {**kwargs, "need_weights": True}
        for listener in listeners:
            listener.targets.attend(_call(*args, **kwargs_with_weights))
    elif not torch.compiler.is_compiling():  # torch's tracing calls the patched function a second time
        for listener in listeners:
            listener.on_call(lambda: _call(*args, **kwargs))
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
    """Return the call; None if another patch records it.

    The parameters after the projection weights are keyword-only, because `nn.MultiheadAttention` passes them by name.
    """
    del value, embed_dim_to_check, bias_v
    if not need_weights:
        return None
    if bias_k is not None or add_zero_attn:
        raise UnknownAttentionError("appends keys to the given ones")
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
    """Reshape `[tokens, batch, heads · width]` (the batch is optional) to `[batch, heads, tokens, width]`."""
    if projected.ndim == 2:
        projected = projected.unsqueeze(1)
    return projected.view(*projected.shape[:2], heads, -1).permute(1, 2, 0, 3)


def _mask(attention_mask: Tensor | None, padding_mask: Tensor | None, batch: int, heads: int) -> Tensor | None:
    """Combine both masks into an additive mask. In the given bool masks, True means masked."""
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
