"""An attention call: its inputs, and its masked scores."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

_HIDING = -1e4
"""A query does not see a key if at most this is added to their score: many models mask with a large number."""


class UnknownAttentionError(Exception):
    """An attention call whose weights cannot be computed from what is known of it. The text completes "it …"."""


@dataclass(frozen=True)
class AttentionCall:
    """The inputs of one attention call.

    Attributes:
        query: `[batch, heads, queries, width]`, any floating-point dtype.
        key: `[batch, key heads, keys, width]`; query head h uses key head h // (heads / key heads).
        mask: A bool tensor, True where a query may attend, or a float tensor that is added to the scores; broadcasts
            to `[batch, heads, queries, keys]`.
        is_causal: Query i attends to keys 0 to i only.
        scale: The factor of the scores; None for 1/sqrt(width).
        softcap: Replace the scores by softcap · tanh(scores / softcap); None for no cap.
        window: Query i does not attend to keys i - window and below; None for no window.
        adjust: A function applied to the scores before the masks, of scores `[batch, heads, rows, keys]` and the
            query index of each row, int64 `[rows]`; None for none.
    """

    query: Tensor
    key: Tensor
    mask: Tensor | None = None
    is_causal: bool = False
    scale: float | None = None
    softcap: float | None = None
    window: int | None = None
    adjust: Callable[[Tensor, Tensor], Tensor] | None = None

    def with_bias(self, bias: Tensor) -> AttentionCall:
        """Return the same call with a bias added to the scores, which broadcasts to `[batch, heads, queries, keys]`."""
        before = self.adjust

        def adjust(scores: Tensor, rows: Tensor) -> Tensor:
            if before is not None:
                scores = before(scores, rows)
            some = bias.detach()[..., : scores.shape[-1]]
            return scores + (some if some.shape[-2] == 1 else some.index_select(-2, rows))

        return replace(self, adjust=adjust)

    def adjusted(self, adjust: Callable[[Tensor, Tensor], Tensor]) -> AttentionCall:
        """Return the same call with a function applied to its scores."""
        return replace(self, adjust=adjust)


def make_call(
    query: Tensor,
    key: Tensor,
    *,
    mask: Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    softcap: float | None = None,
    window: int | None = None,
) -> AttentionCall | None:
    """Reshape the inputs of an attention call to four dimensions. None for an empty batch.

    Raises:
        UnknownAttentionError: If the tensors are nested.
    """
    if query.is_nested or key.is_nested:
        raise UnknownAttentionError("uses nested tensors")
    if query.numel() == 0 or key.numel() == 0:
        return None
    if query.ndim == 3 and mask is not None and mask.ndim == 3:
        mask = mask.unsqueeze(1)
    while query.ndim < 4:
        query = query.unsqueeze(-3)
    while key.ndim < 4:
        key = key.unsqueeze(-3)
    if query.ndim > 4:
        if mask is not None and mask.ndim > 2:
            mask = mask.expand(*query.shape[:-2], *mask.shape[-2:]).flatten(0, -4)
        query, key = query.flatten(0, -4), key.flatten(0, -4)
    return AttentionCall(query, key, mask, is_causal, scale, softcap, window)


def with_keys(call: AttentionCall, keys: int) -> AttentionCall:
    """Return the call with only its first keys."""
    mask = call.mask
    if mask is not None and mask.shape[-1] != 1:
        mask = mask[..., :keys]
    return replace(call, key=call.key[..., :keys, :], mask=mask)


def masked_scores(call: AttentionCall, rows: Tensor) -> tuple[Tensor, Tensor | None]:
    """Compute the masked scores of these queries with every key.

    Returns:
        The scores, float32 `[batch, heads, rows, keys]`, and which keys each query does not see, a bool tensor that
        broadcasts to the scores; None if every query sees every key.
    """
    batch, heads, _, width = call.query.shape
    key_heads, keys = call.key.shape[1], call.key.shape[-2]
    scale = 1.0 / math.sqrt(width) if call.scale is None else call.scale
    query = call.query.detach().index_select(-2, rows).float() * scale
    # Query heads that share a key head become additional rows of that head, so that the keys need not be repeated.
    query = query.reshape(batch, key_heads, (heads // key_heads) * len(rows), width)
    scores = (query @ call.key.detach().float().mT).reshape(batch, heads, len(rows), keys)
    if call.softcap is not None:
        scores = (scores / call.softcap).tanh_().mul_(call.softcap)
    hidden: Tensor | None = None
    if call.adjust is not None:
        before, scores = scores, call.adjust(scores, rows)
        hidden = scores <= before + _HIDING
    if call.mask is not None:
        mask = call.mask.detach()
        if mask.ndim > 1 and mask.shape[-2] != 1:
            mask = mask.index_select(-2, rows)
        is_bool = mask.dtype == torch.bool
        scores = scores.masked_fill(~mask, -math.inf) if is_bool else scores.add_(mask)
        hidden = _either(hidden, ~mask if is_bool else mask <= _HIDING)
    if call.is_causal or call.window is not None:
        behind = rows[:, None] - torch.arange(keys, device=rows.device)
        masked = torch.zeros_like(behind, dtype=torch.bool)
        if call.is_causal:
            masked |= behind < 0
        if call.window is not None:
            masked |= behind >= call.window
        scores = scores.masked_fill(masked, -math.inf)
        hidden = _either(hidden, masked)
    return scores, hidden


def _either(first: Tensor | None, second: Tensor) -> Tensor:
    return second if first is None else first | second
