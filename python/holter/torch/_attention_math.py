"""The numbers of one attention call, from its queries and keys: the weights themselves are never formed whole.

With w the weights after the softmax and before dropout, of one query over all keys:

    entropy   H = -Σ w log w                    mean over batch, heads and queries, in nats
    sparsity  share of the w above a threshold  mean over batch, heads, queries and keys, masked positions included
    largest logit: the maximum of the scores before the softmax, over positions that are not masked

Both means are over queries, so a sample of queries estimates them without bias: the rows of weights of R queries cost
R/T of all rows. The sample is one query from each of R equal strata, since under a causal mask a query's entropy grows
with its position. Where in its stratum follows from the step's number, not from a random generator: the user's random
state is never touched. Everything is computed in float32, under any autocast, without gradients.
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
"""Scores formed at a time where every query is looked at: 64 MiB of float32, on a CPU as many as its cache holds."""

_TILE_ROWS = 64
_TILE_ELEMENTS = 1 << 18
"""The same where scores are only compared: queries of a head at a time, and scores."""


@dataclass(frozen=True)
class AttentionCall:
    """What one call attends with.

    Attributes:
        query: `[batch, heads, queries, width]`.
        key: `[batch, key heads, keys, width]`; query head h uses key head h // (heads / key heads).
        mask: True where a query may attend, or a float that is added to the scores; broadcasts to
            `[batch, heads, queries, keys]`.
        is_causal: query i sees keys 0 to i only.
        scale: what the scores are multiplied with; None for 1/sqrt(width).
        softcap: scores become softcap · tanh(scores / softcap); None for no cap.
        window: query i sees none of the keys up to i - window; None for no window.
        adjust: what else happens to scores before the masks: a function of scores `[batch, heads, rows, keys]` and of
            the queries that the rows are, int64 `[rows]`; None for nothing.
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
        """The same call with one more thing that happens to its scores."""
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
    """An attention call with exactly four dimensions; None where there is nothing to look at.

    Nested tensors and empty batches are passed over.
    """
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
    """Statistics of some queries' rows of weights: float32 tensors `[batch, heads, rows]`."""

    entropy: Tensor
    share: Tensor
    largest_logit: Tensor


def offset_of(step: int) -> float:
    """Where inside its stratum this step's query lies, in [0, 1).

    The fractional parts of step · golden ratio fill an interval most evenly: over the steps every query has its turn.
    """
    return math.fmod(step * _GOLDEN_RATIO, 1.0)


def stratified_rows(queries: int, rows: int, offset: float | Tensor, device: torch.device) -> Tensor:
    """The queries to look at: one out of each of `rows` equal strata, int64 `[min(rows, queries)]`, ascending."""
    if rows >= queries:
        return torch.arange(queries, device=device)
    places = (torch.arange(rows, device=device, dtype=torch.float64) + offset) * (queries / rows)
    return places.long().clamp_(max=queries - 1)


def row_statistics(call: AttentionCall, rows: Tensor, threshold: float) -> RowStatistics:
    """Exact statistics of the rows of weights of these queries.

    Args:
        call: the attention call.
        rows: int64 `[rows]`, which queries.
        threshold: a weight counts as large above it.
    """
    scores = _scores(call, rows)
    largest = scores.amax(dim=-1)
    # A query that sees no key has weights of 0: its row adds nothing to either mean.
    is_blind = largest == -math.inf
    scores -= torch.where(is_blind, 0.0, largest).unsqueeze(-1)
    weights = scores.exp()
    total = weights.sum(dim=-1)
    share = torch.count_nonzero(weights > (threshold * total).unsqueeze(-1), dim=-1) / scores.shape[-1]
    # With s the scores less the largest and Z the sum of their exponentials: H = log Z - Σ s exp(s) / Z.
    # 0 · log 0 counts as 0; the bound only keeps 0 · -inf from being NaN.
    mean_score = weights.mul_(scores.clamp_(min=-1e4)).sum(dim=-1) / total
    entropy = torch.where(is_blind, 0.0, total.log() - mean_score)
    return RowStatistics(entropy, share.to(torch.float32), largest)


def sampled(call: AttentionCall, rows: int, offset: float | Tensor, threshold: float) -> Tensor:
    """Estimates from some queries: entropy, sparsity, largest logit, standard errors of the first two; float32 `[5]`.

    The standard errors are those of a stratified sample by successive differences (Wolter, Introduction to Variance
    Estimation, 8.2: Σ (x_(r+1) - x_r)² / (2 R (R - 1)), over rows that are already means over batch and heads; 0 where
    every query was looked at.
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
    """The same five numbers from every query; the standard errors are 0.

    Where the entropies can be had from one more fused call (`fused_entropy`), only the comparison with the threshold
    is left, which is made a cache's worth of scores at a time; under a causal mask only with the keys that are seen.
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
    """Sums over all queries of entropy and share, and the largest logit, from the weights of some queries at a time."""
    batch, heads, queries = call.query.shape[:3]
    keys = call.key.shape[-2]
    entropy = torch.zeros((), device=call.query.device, dtype=torch.float64)
    share = torch.zeros_like(entropy)
    largest = []
    at_once = _CHUNK_ELEMENTS_CPU if call.query.device.type == "cpu" else _CHUNK_ELEMENTS
    length = max(1, at_once // max(1, batch * heads * keys))
    for start in range(0, queries, length):
        stop = min(start + length, queries)
        seen = _with_keys(call, min(stop, keys)) if call.is_causal else call
        found = row_statistics(seen, torch.arange(start, stop, device=call.query.device), threshold)
        entropy += found.entropy.sum(dtype=torch.float64)
        share += found.share.sum(dtype=torch.float64) * (seen.key.shape[-2] / keys)
        largest.append(found.largest_logit.amax())
    return entropy, share, torch.stack(largest).amax()


def _large_weights(call: AttentionCall, bounds: Tensor) -> tuple[Tensor, Tensor]:
    """How many scores lie above their query's bound, over the number of keys; and the largest score.

    Args:
        call: with a mask of booleans or without one, and as many key heads as query heads.
        bounds: float32 `[batch, heads, queries]`.
    """
    batch, heads, queries, width = call.query.shape
    keys = call.key.shape[-2]
    scale = 1.0 / math.sqrt(width) if call.scale is None else call.scale
    query = (call.query.detach().float() * scale).reshape(batch * heads, queries, width)
    key = call.key.detach().float().reshape(batch * heads, keys, width)
    limit = bounds.reshape(batch * heads, queries, 1)
    hidden = None
    if call.mask is not None:
        hidden = ~call.mask.expand(batch, heads, queries, keys).reshape(batch * heads, queries, keys)
    counts, largest = [], []
    for start in range(0, queries, _TILE_ROWS):
        stop = min(start + _TILE_ROWS, queries)
        seen = min(stop, keys) if call.is_causal else keys
        future = torch.ones(stop - start, max(0, seen - start), dtype=torch.bool, device=query.device).triu_(1)
        at_once = _TILE_ELEMENTS if query.device.type == "cpu" else _CHUNK_ELEMENTS
        together = max(1, at_once // (_TILE_ROWS * seen))
        for first in range(0, batch * heads, together):
            some = slice(first, first + together)
            scores = torch.bmm(query[some, start:stop], key[some, :seen].mT)
            if call.is_causal:
                scores[..., start:].masked_fill_(future, -math.inf)
            if hidden is not None:
                scores.masked_fill_(hidden[some, start:stop], -math.inf)
            largest.append(scores.amax())
            counts.append(scores.sub_(limit[some, start:stop]).gt_(0.0).sum(dtype=torch.float32))
    return torch.stack(counts).sum(dtype=torch.float64) / keys, torch.stack(largest).amax()


def fused_entropy(call: AttentionCall) -> tuple[Tensor, Tensor] | None:
    """Every row's entropy and the logarithm of its normalizer by one fused call, without forming any weight.

    With L the log-sum-exp of a query's scores and E the mean under its weights, H = L - E[scores], and E[scores] is
    scale · q · E[k]: attention whose values are the keys. The entropy does not change when one vector is taken from
    all keys, which is done since it makes the difference of two large numbers one of two small ones.

    Returns:
        Entropies and normalizers, float32 `[batch, heads, queries]`; None where the identity does not hold (a bias or
        a cap on the scores) or no fused kernel gives L.
    """
    if call.softcap is not None or call.window is not None or call.adjust is not None:
        return None
    if call.query.device.type != "cpu":
        return None
    if call.query.dtype not in (torch.float32, torch.float64):
        # The kernel would round the result, and with it the difference, to half precision.
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
    centre = key.mean(dim=-2, keepdim=True)
    key = key - centre
    scale = 1.0 / math.sqrt(query.shape[-1]) if call.scale is None else call.scale
    mean_key, normalizer = kernel(query, key, key, 0.0, call.is_causal, attn_mask=mask, scale=scale)
    normalizer = normalizer.view(query.shape[:3]).float()
    entropy = normalizer - scale * torch.linalg.vecdot(query, mean_key).float()
    # A query that sees no key has no normalizer; its weights are 0, and so is its entropy.
    entropy = torch.where(torch.isfinite(normalizer), entropy, 0.0)
    return entropy, normalizer + scale * torch.linalg.vecdot(query, centre).float()


def _with_keys(call: AttentionCall, keys: int) -> AttentionCall:
    """The call with its first keys only."""
    mask = call.mask
    if mask is not None and mask.shape[-1] != 1:
        mask = mask[..., :keys]
    return replace(call, key=call.key[..., :keys, :], mask=mask)


def _scores(call: AttentionCall, rows: Tensor) -> Tensor:
    """The masked scores of these queries against every key, float32 `[batch, heads, rows, keys]`."""
    batch, heads, _, width = call.query.shape
    key_heads, keys = call.key.shape[1], call.key.shape[-2]
    scale = 1.0 / math.sqrt(width) if call.scale is None else call.scale
    query = call.query.detach().index_select(-2, rows).float() * scale
    # Query heads that share a key head become more rows of that head: the keys are not repeated.
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
        hidden = torch.zeros_like(behind, dtype=torch.bool)
        if call.is_causal:
            hidden |= behind < 0
        if call.window is not None:
            hidden |= behind >= call.window
        scores = scores.masked_fill_(hidden, -math.inf)
    return scores
