"""Statistics of one attention call, computed from its queries and keys without forming the full matrix of weights.

With w the weights of one query over all keys, after the softmax and before dropout:

    entropy        H = -Σ w log w                  mean over batch, heads and queries, in nats
    sparsity       share of w above a threshold    mean over batch, heads, queries and keys, masked positions included
    largest logit  maximum score before softmax    over unmasked positions

Both means are over queries, so a sample of queries gives unbiased estimates, and the weights of R out of T queries cost
R/T of all weights. The sample is stratified, one query from each of R equal strata, because under a causal mask a
query's entropy grows with its position. The position within the strata is computed from the step's number instead of a
random generator, so that the user's random state is never touched. Everything is computed in float32 regardless of
autocast, without gradients.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable

_GOLDEN_RATIO = 0.6180339887498949
_CHUNK_ELEMENTS = 1 << 24
_CHUNK_ELEMENTS_CPU = 1 << 20
"""Number of scores per chunk in exact mode: 64 MiB of float32; on a CPU, as many as fit into its cache."""

_TILE_ROWS = 64
_TILE_ELEMENTS = 1 << 18
"""Size of a tile if scores are only compared with a bound: queries of a head, and scores on a CPU."""


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
    """Reshape the inputs of an attention call to four dimensions. None for nested tensors and empty batches."""
    if query.is_nested or key.is_nested or query.numel() == 0 or key.numel() == 0:
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


@dataclass(frozen=True)
class RowStatistics:
    """Statistics of the rows of weights of some queries, each float32 `[batch, heads, rows]`."""

    entropy: Tensor
    share: Tensor
    largest_logit: Tensor


def stratum_offset(step: int) -> float:
    """Return the position of this step's queries within their strata, in [0, 1).

    The fractional parts of step · golden ratio fill an interval evenly, so that over the steps every query is sampled.
    """
    return math.fmod(step * _GOLDEN_RATIO, 1.0)


def stratified_rows(queries: int, rows: int, offset: float | Tensor, device: torch.device) -> Tensor:
    """Select one query from each of `rows` equal strata. Returns int64 `[min(rows, queries)]`, ascending."""
    if rows >= queries:
        return torch.arange(queries, device=device)
    positions = (torch.arange(rows, device=device, dtype=torch.float64) + offset) * (queries / rows)
    return positions.long().clamp_(max=queries - 1)


def row_statistics(call: AttentionCall, rows: Tensor, threshold: float) -> RowStatistics:
    """Compute exact statistics of the rows of weights of some queries.

    Args:
        call: The attention call.
        rows: The queries, int64 `[rows]`.
        threshold: Weights above it count towards the share.
    """
    scores = _scores(call, rows)
    largest = scores.amax(dim=-1)
    # A fully masked query has weights of 0: its row adds nothing to either mean.
    is_fully_masked = largest == -math.inf
    scores -= torch.where(is_fully_masked, 0.0, largest).unsqueeze(-1)
    weights = scores.exp()
    total = weights.sum(dim=-1)
    share = torch.count_nonzero(weights > (threshold * total).unsqueeze(-1), dim=-1) / scores.shape[-1]
    # With s the scores minus the largest score and Z = Σ exp(s): H = log Z - Σ s exp(s) / Z.
    # 0 · log 0 counts as 0; the clamp only prevents 0 · -inf = NaN.
    mean_score = weights.mul_(scores.clamp_(min=-1e4)).sum(dim=-1) / total
    entropy = torch.where(is_fully_masked, 0.0, total.log() - mean_score)
    return RowStatistics(entropy, share.to(torch.float32), largest)


def sampled(call: AttentionCall, rows: int, offset: float | Tensor, threshold: float) -> Tensor:
    """Estimate a call's statistics from a stratified sample of queries.

    The standard errors are those of a stratified sample by successive differences: the square root of
    Σ (x_(r+1) - x_r)² / (2 R (R - 1)) (Wolter, Introduction to Variance Estimation, 8.2), with x the means over batch
    and heads of R rows. They are 0 if every query is used.

    Args:
        call: The attention call.
        rows: Number of queries to sample.
        offset: The position within the strata, in [0, 1).
        threshold: Weights above it count towards sparsity.

    Returns:
        float32 `[5]`: entropy, sparsity, largest logit, and the standard errors of entropy and sparsity.
    """
    with torch.no_grad(), torch.autocast(call.query.device.type, enabled=False):
        queries = call.query.shape[-2]
        chosen = stratified_rows(queries, rows, offset, call.query.device)
        found = row_statistics(call, chosen, threshold)
        means = torch.stack((found.entropy.mean(dim=(0, 1)), found.share.mean(dim=(0, 1))))
        count = means.shape[-1]
        if rows >= queries or count < 2:
            errors = torch.zeros(2, device=means.device)
        else:
            errors = (means.diff(dim=-1).square().sum(dim=-1) / (2.0 * count * (count - 1))).sqrt()
        return torch.cat((means.mean(dim=-1), found.largest_logit.amax().reshape(1), errors))


def exact(call: AttentionCall, threshold: float) -> Tensor:
    """Compute the numbers of `sampled` from every query; the standard errors are 0.

    If `fused_entropy` applies, only the comparison with the threshold remains. It runs on tiles that fit into the
    cache and, under a causal mask, skips the keys that no query of the tile attends to.
    """
    with torch.no_grad(), torch.autocast(call.query.device.type, enabled=False):
        fused = fused_entropy(call)
        if fused is None:
            entropy, share, largest = _in_chunks(call, threshold)
        else:
            entropy = fused[0].sum(dtype=torch.float64)
            share, largest = _large_weights(call, fused[1] + math.log(threshold))
        means = torch.stack((entropy, share)) / math.prod(call.query.shape[:3])
        zeros = torch.zeros(2, device=means.device)
        return torch.cat((means.to(torch.float32), largest.reshape(1), zeros))


def _in_chunks(call: AttentionCall, threshold: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return the sums of entropy and share over all queries, and the largest logit, computed in chunks of queries."""
    batch, heads, queries = call.query.shape[:3]
    keys = call.key.shape[-2]
    entropy = torch.zeros((), device=call.query.device, dtype=torch.float64)
    share = torch.zeros_like(entropy)
    largest = []
    elements = _CHUNK_ELEMENTS_CPU if call.query.device.type == "cpu" else _CHUNK_ELEMENTS
    length = max(1, elements // max(1, batch * heads * keys))
    for start in range(0, queries, length):
        stop = min(start + length, queries)
        visible = _with_keys(call, min(stop, keys)) if call.is_causal else call
        found = row_statistics(visible, torch.arange(start, stop, device=call.query.device), threshold)
        entropy += found.entropy.sum(dtype=torch.float64)
        share += found.share.sum(dtype=torch.float64) * (visible.key.shape[-2] / keys)
        largest.append(found.largest_logit.amax())
    return entropy, share, torch.stack(largest).amax()


def _large_weights(call: AttentionCall, bounds: Tensor) -> tuple[Tensor, Tensor]:
    """Return the number of scores above their query's bound, divided by the number of keys, and the largest score.

    Args:
        call: A call with as many key heads as query heads, and with a bool mask or none.
        bounds: float32 `[batch, heads, queries]`.
    """
    batch, heads, queries, width = call.query.shape
    keys = call.key.shape[-2]
    scale = 1.0 / math.sqrt(width) if call.scale is None else call.scale
    query = (call.query.detach().float() * scale).reshape(batch * heads, queries, width)
    key = call.key.detach().float().reshape(batch * heads, keys, width)
    limit = bounds.reshape(batch * heads, queries, 1)
    masked = None
    if call.mask is not None:
        masked = ~call.mask.expand(batch, heads, queries, keys).reshape(batch * heads, queries, keys)
    counts, largest = [], []
    for start in range(0, queries, _TILE_ROWS):
        stop = min(start + _TILE_ROWS, queries)
        visible = min(stop, keys) if call.is_causal else keys
        future = torch.ones(stop - start, max(0, visible - start), dtype=torch.bool, device=query.device).triu_(1)
        elements = _TILE_ELEMENTS if query.device.type == "cpu" else _CHUNK_ELEMENTS
        num_heads = max(1, elements // (_TILE_ROWS * visible))
        for first in range(0, batch * heads, num_heads):
            some = slice(first, first + num_heads)
            scores = torch.bmm(query[some, start:stop], key[some, :visible].mT)
            if call.is_causal:
                scores[..., start:].masked_fill_(future, -math.inf)
            if masked is not None:
                scores.masked_fill_(masked[some, start:stop], -math.inf)
            largest.append(scores.amax())
            counts.append(scores.sub_(limit[some, start:stop]).gt_(0.0).sum(dtype=torch.float32))
    return torch.stack(counts).sum(dtype=torch.float64) / keys, torch.stack(largest).amax()


def fused_entropy(call: AttentionCall) -> tuple[Tensor, Tensor] | None:
    """Compute every query's entropy and log-normalizer with one fused attention call, without forming any weight.

    With L the log-sum-exp of a query's scores and E the mean under its weights, H = L - E[scores], and E[scores] =
    scale · q · E[k], where E[k] is attention with the keys as values. Subtracting one vector from all keys does not
    change the entropy. We subtract their mean, because it avoids the cancellation of two large numbers.

    Returns:
        Entropies and log-normalizers, float32 `[batch, heads, queries]` each. None if the identity does not hold (a
        bias or a cap on the scores) or no fused kernel returns L.
    """
    if call.softcap is not None or call.window is not None or call.adjust is not None:
        return None
    if call.query.device.type != "cpu":
        return None
    if call.query.dtype not in (torch.float32, torch.float64):
        # The kernel would round its result to half precision, and the difference would lose its digits.
        call = replace(call, query=call.query.float(), key=call.key.float())
    mask = call.mask
    if mask is not None:
        if mask.dtype != torch.bool or call.is_causal:
            return None
        shape = (call.query.shape[0], call.query.shape[1], call.query.shape[2], call.key.shape[2])
        mask = torch.zeros_like(mask, dtype=call.query.dtype).masked_fill_(~mask, -math.inf).expand(shape)
    kernel = getattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu", None)
    if kernel is None or call.query.shape[1] != call.key.shape[1]:
        return None
    query, key = call.query.detach(), call.key.detach()
    center = key.mean(dim=-2, keepdim=True)
    key = key - center
    scale = 1.0 / math.sqrt(query.shape[-1]) if call.scale is None else call.scale
    mean_key, normalizer = kernel(query, key, key, 0.0, call.is_causal, attn_mask=mask, scale=scale)
    normalizer = normalizer.view(query.shape[:3]).float()
    entropy = normalizer - scale * torch.linalg.vecdot(query, mean_key).float()
    # A fully masked query has no normalizer; its weights are 0, and so is its entropy.
    entropy = torch.where(torch.isfinite(normalizer), entropy, 0.0)
    return entropy, normalizer + scale * torch.linalg.vecdot(query, center).float()


def _with_keys(call: AttentionCall, keys: int) -> AttentionCall:
    """Return the call with only its first keys."""
    mask = call.mask
    if mask is not None and mask.shape[-1] != 1:
        mask = mask[..., :keys]
    return replace(call, key=call.key[..., :keys, :], mask=mask)


def _scores(call: AttentionCall, rows: Tensor) -> Tensor:
    """Compute the masked scores of these queries with every key, float32 `[batch, heads, rows, keys]`."""
    batch, heads, _, width = call.query.shape
    key_heads, keys = call.key.shape[1], call.key.shape[-2]
    scale = 1.0 / math.sqrt(width) if call.scale is None else call.scale
    query = call.query.detach().index_select(-2, rows).float() * scale
    # Query heads that share a key head become additional rows of that head, so that the keys need not be repeated.
    query = query.reshape(batch, key_heads, (heads // key_heads) * len(rows), width)
    scores = (query @ call.key.detach().float().mT).reshape(batch, heads, len(rows), keys)
    if call.softcap is not None:
        scores = (scores / call.softcap).tanh_().mul_(call.softcap)
    if call.adjust is not None:
        scores = call.adjust(scores, rows)
    if call.mask is not None:
        mask = call.mask.detach()
        if mask.ndim > 1 and mask.shape[-2] != 1:
            mask = mask.index_select(-2, rows)
        if mask.dtype == torch.bool:
            scores = scores.masked_fill_(~mask, -math.inf)
        else:
            scores += mask
    if call.is_causal or call.window is not None:
        behind = rows[:, None] - torch.arange(keys, device=rows.device)
        masked = torch.zeros_like(behind, dtype=torch.bool)
        if call.is_causal:
            masked |= behind < 0
        if call.window is not None:
            masked |= behind >= call.window
        scores = scores.masked_fill_(masked, -math.inf)
    return scores
