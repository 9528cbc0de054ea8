"""Attention statistics by definition: float64, from the full matrix of weights."""

import math

import torch


def attention_scores(query, key, *, mask=None, is_causal=False, scale=None, softcap=None, window=None):
    """Compute the masked scores, float64 `[batch, heads, queries, keys]`."""
    query, key = query.detach().double(), key.detach().double()
    key = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)
    scores = query @ key.mT * (query.shape[-1] ** -0.5 if scale is None else scale)
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask
    behind = torch.arange(query.shape[-2])[:, None] - torch.arange(key.shape[-2])
    if is_causal:
        scores = scores.masked_fill(behind < 0, -math.inf)
    if window is not None:
        scores = scores.masked_fill(behind >= window, -math.inf)
    return scores


def attention_weights(scores):
    """Compute the weights; those of a fully masked query are 0."""
    return scores.softmax(dim=-1).nan_to_num(0.0)


def row_entropy(weights):
    """Compute the entropy of each query's weights, in nats, in float64."""
    weights = weights.detach().double()
    return -(weights * torch.where(weights > 0, weights, 1.0).log()).sum(dim=-1)


def entropy_and_sparsity(weights, threshold=0.1):
    """Compute the mean entropy and the share of weights above the threshold, over the queries that see a key."""
    weights = weights.detach().double()
    weights = weights[(weights != 0.0).any(dim=-1)]
    return float(row_entropy(weights).mean()), float((weights > threshold).double().mean())
