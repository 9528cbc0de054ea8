"""Statistics of one attention call, computed from its queries and keys without forming the full matrix of weights.

With w the weights of one query over all keys, after the softmax and before dropout:

    entropy        H = -Σ w log w                  mean over batch, heads and queries, in nats
    sparsity       share of w above a threshold    mean over batch, heads, queries and keys, masked positions included
    largest logit  maximum score before softmax    over unmasked positions

Queries that see no key (padding, for example) count in neither mean: some models give them weights of 0, others equal
weights. Both means are over queries, so a sample of queries gives unbiased estimates, and the weights of R out of T
queries cost R/T of all weights. The sample is stratified, one query from each of R equal strata, because under a
causal mask a query's entropy grows with its position. The position within the strata is computed from the step's
number instead of a random generator, so that the user's random state is never touched. Everything is computed in
float32 regardless of autocast, without gradients.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from holter.torch._attention_call import AttentionCall, masked_scores, with_keys

if TYPE_CHECKING:
    from torch import Tensor

_GOLDEN_RATIO = 0.6180339887498949
_CHUNK_ELEMENTS = 1 << 24
_CHUNK_ELEMENTS_CPU = 1 << 20
"""Number of scores per chunk in exact mode: 64 MiB of float32; on a CPU, as many as fit into its cache."""

_TILE_ROWS = 64
_TILE_ELEMENTS = 1 << 18
"""Size of a tile if scores are only compared with a bound: queries of a head, and scores on a CPU."""


@dataclass(frozen=True)
class RowStatistics:
    """Statistics of the rows of weights of some queries, each `[batch, heads, rows]`.

    Attributes:
        entropy: float32; 0 for a query that sees no key.
        share: As `entropy`.
        largest_logit: float32; -inf for a query that sees no key.
        sees: Whether the query sees any key, bool.
    """

    entropy: Tensor
    share: Tensor
    largest_logit: Tensor
    sees: Tensor


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
    scores, hidden = masked_scores(call, rows)
    shape = scores.shape[:-1]
    sees = torch.ones((), dtype=torch.bool, device=scores.device) if hidden is None else ~hidden.all(dim=-1)
    sees = sees.expand(shape)
    largest = scores.amax(dim=-1)
    scores -= torch.where(sees, largest, 0.0).unsqueeze(-1)
    weights = scores.exp()
    total = weights.sum(dim=-1)
    share = torch.count_nonzero(weights > (threshold * total).unsqueeze(-1), dim=-1) / scores.shape[-1]
    # With s the scores minus the largest score and Z = Σ exp(s): H = log Z - Σ s exp(s) / Z.
    # 0 · log 0 counts as 0; the clamp only prevents 0 · -inf = NaN. A NaN or infinite score makes Z, and so both, NaN.
    mean_score = weights.mul_(scores.clamp_(min=-1e4)).sum(dim=-1) / total
    entropy = torch.where(sees, total.log() - mean_score, 0.0)
    share = torch.where(sees, share.to(torch.float32) + 0.0 * total, 0.0)
    return RowStatistics(entropy, share, torch.where(sees, largest, -math.inf), sees)


def sampled(call: AttentionCall, rows: int, offset: float | Tensor, threshold: float) -> Tensor:
    """Estimate a call's statistics from a stratified sample of queries.

    The standard errors are those of a stratified sample by successive differences: the square root of
    Σ (x_(r+1) - x_r)² / (2 R (R - 1)) (Wolter, Introduction to Variance Estimation, 8.2), with x the means over batch
    and heads of R rows, or their residuals if some queries see no key. They are 0 if every query is used.

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
        sums = torch.stack((found.entropy.sum(dim=(0, 1)), found.share.sum(dim=(0, 1))))
        counts = found.sees.sum(dim=(0, 1), dtype=torch.float32)
        means = sums.sum(dim=-1) / counts.sum()
        count = counts.shape[-1]
        if rows >= queries or count < 2:
            errors = torch.zeros(2, device=means.device)
        else:
            residuals = (sums - means.unsqueeze(-1) * counts) / counts.mean()
            errors = (residuals.diff(dim=-1).square().sum(dim=-1) / (2.0 * count * (count - 1))).sqrt()
        return torch.cat((means, found.largest_logit.amax().reshape(1), errors))


def exact(call: AttentionCall, threshold: float) -> Tensor:
    """Compute the numbers of `sampled` from every query; the standard errors are 0.

    If `fused_entropy` applies, only the comparison with the threshold remains. It runs on tiles that fit into the
    cache and, under a causal mask, skips the keys that no query of the tile attends to.
    """
    with torch.no_grad(), torch.autocast(call.query.device.type, enabled=False):
        fused = fused_entropy(call)
        if fused is None:
            entropy, share, largest, count = _in_chunks(call, threshold)
        else:
            entropy = fused[0].sum(dtype=torch.float64)
            share, largest = _large_weights(call, fused[1] + math.log(threshold))
            sees = _queries_that_see(call)
            count = sees.sum(dtype=torch.float64)
            share += torch.where(sees, 0.0 * fused[1], 0.0).sum()  # NaN if a score is
        means = torch.stack((entropy, share)) / count
        zeros = torch.zeros(2, device=means.device)
        return torch.cat((means.to(torch.float32), largest.reshape(1), zeros))


def _in_chunks(call: AttentionCall, threshold: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Compute the sums of entropy and share, the largest logit, and the number of queries that see a key, in chunks."""
    batch, heads, queries = call.query.shape[:3]
    keys = call.key.shape[-2]
    entropy = torch.zeros((), device=call.query.device, dtype=torch.float64)
    share, count = torch.zeros_like(entropy), torch.zeros_like(entropy)
    largest = []
    elements = _CHUNK_ELEMENTS_CPU if call.query.device.type == "cpu" else _CHUNK_ELEMENTS
    length = max(1, elements // max(1, batch * heads * keys))
    for start in range(0, queries, length):
        stop = min(start + length, queries)
        visible = with_keys(call, min(stop, keys)) if call.is_causal else call
        found = row_statistics(visible, torch.arange(start, stop, device=call.query.device), threshold)
        entropy += found.entropy.sum(dtype=torch.float64)
        share += found.share.sum(dtype=torch.float64) * (visible.key.shape[-2] / keys)
        count += found.sees.sum(dtype=torch.float64)
        largest.append(found.largest_logit.amax())
    return entropy, share, torch.stack(largest).amax(), count


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
    # A query that sees no key has no normalizer. For any other query, that means that a score is NaN or infinite.
    entropy = torch.where(torch.isfinite(normalizer), entropy, math.nan)
    entropy = torch.where(_queries_that_see(call), entropy, 0.0)
    return entropy, normalizer + scale * torch.linalg.vecdot(query, center).float()


def _queries_that_see(call: AttentionCall) -> Tensor:
    """Return which queries see any key, bool `[batch, heads, queries]`, for a call with a bool mask or none."""
    shape = call.query.shape[:3]
    if call.mask is None:
        return torch.ones((), dtype=torch.bool, device=call.query.device).expand(shape)
    return call.mask.detach().any(dim=-1).expand(shape)
