"""Effective rank of matrices and related numbers, from the singular values s of each matrix.

    effective_rank       exp(-Σ p log p) with p = s / Σ s       (Roy and Vetterli, 2007)
    stable_rank          Σ s² / max s²
    participation_ratio  (Σ s²)² / Σ s⁴
    top1_share           max s / Σ s

The Gram matrix is computed on the matrix's device. Its eigenvalues are computed on staging's thread, because computing
them on the training thread would wait for the device. The Gram matrix is in float64, because squaring loses half of the
digits: in float32, the hundreds of zero singular values of a low-rank matrix would come out large enough to count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from holter.torch._cadence import Cadence
from holter.torch._columns import Columns
from holter.torch._distributed import full_tensor
from holter.torch._names import clean_path, labels, matches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from torch import Tensor, nn

    from holter import Logger
    from holter.torch._columns import FloatArray
    from holter.torch._staging import Staging

_CHUNK_ROWS = 4096
"""Number of rows converted to float64 at a time, so that a large embedding is never copied as a whole."""


@dataclass(frozen=True)
class Rank:
    """Which matrices' ranks to record, and how often.

    With s the singular values of a matrix and p = s / Σ s, the metrics, recorded as `{metric}/layer_{i}`, are:
    `effective_rank` = exp(-Σ p log p) (Roy and Vetterli, 2007), `stable_rank` = Σ s² / max s²,
    `participation_ratio` = (Σ s²)² / Σ s⁴, and `top1_share` = max s / Σ s.

    Attributes:
        pattern: Shell-style pattern of parameter names; `*` also matches dots. Parameters with fewer than two
            dimensions are ignored. A parameter with three dimensions is a stack of matrices, whose metrics are
            averaged; with more dimensions, all but the first are flattened into one.
        every: Record every this many steps.
        metrics: Names of the metrics to record.

    Raises:
        ValueError: If `every` is less than 1 or a metric is unknown.
    """

    pattern: str
    every: int = 500
    metrics: tuple[str, ...] = ("effective_rank", "stable_rank", "participation_ratio", "top1_share")

    def __post_init__(self) -> None:
        Cadence(self.every)
        unknown = [metric for metric in self.metrics if metric not in _FORMULAS]
        if unknown:
            raise ValueError(f"metrics must be among {', '.join(_FORMULAS)}, not {', '.join(map(str, unknown))}")


def resolve_ranks(rank: Rank | Sequence[Rank] | None) -> tuple[Rank, ...]:
    """Normalize the `rank` argument of `watch`."""
    if rank is None:
        return ()
    return (rank,) if isinstance(rank, Rank) else tuple(rank)


class Ranks:
    """Records the ranks of one model's matrices.

    Raises:
        ValueError: If a pattern matches no matrix.
    """

    def __init__(self, model: nn.Module, logger: Logger, settings: Iterable[Rank]) -> None:
        self._groups: list[tuple[Cadence, list[_Matrix]]] = []
        parameters = {clean_path(name): parameter for name, parameter in model.named_parameters()}
        for rank in settings:
            found = {name: p for name, p in parameters.items() if matches(name, rank.pattern) and p.ndim >= 2}
            if not found:
                examples = ", ".join([name for name, p in parameters.items() if p.ndim >= 2][:8])
                raise ValueError(f"no matrix name matches {rank.pattern!r}; the model's matrices include {examples}")
            matrices = [
                _Matrix(found[name], Columns(logger, [f"{metric}/{label}" for metric in rank.metrics]), rank.metrics)
                for name, label in labels(found).items()
            ]
            self._groups.append((Cadence(rank.every), matrices))

    @property
    def names(self) -> list[str]:
        """The names of all metrics."""
        return [name for _, matrices in self._groups for matrix in matrices for name in matrix.names]

    def measure(self, staging: Staging, step: int) -> None:
        """Start the computations that are due at this step, with the matrices' current values."""
        for cadence, matrices in self._groups:
            if cadence.due(step):
                cadence.done(step)
                for matrix in matrices:
                    matrix.measure(staging, step)


class _Matrix:
    """A parameter and the columns of its metrics."""

    def __init__(self, parameter: Tensor, columns: Columns, metrics: tuple[str, ...]) -> None:
        self._parameter = parameter
        self._columns = columns
        self._metrics = metrics

    @property
    def names(self) -> tuple[str, ...]:
        return self._columns.names

    def measure(self, staging: Staging, step: int) -> None:
        matrix = full_tensor(self._parameter.detach())
        staging.fetch(f"ranks of {self._columns.names[0]}", self.receive, step, gram(matrix))

    def receive(self, step: int, values: FloatArray) -> None:
        if np.isfinite(values).all():
            singular = np.sqrt(np.clip(np.linalg.eigvalsh(values), 0.0, None))
        else:
            singular = np.full(values.shape[:-1], np.nan)
        numbers = [np.mean(_FORMULAS[metric](singular)) for metric in self._metrics]
        self._columns.record(step, np.asarray(numbers))


def gram(matrix: Tensor) -> Tensor:
    """Compute the smaller Gram matrix of each matrix; its eigenvalues are the squared singular values.

    Args:
        matrix: `[rows, columns]`, a stack `[stack, rows, columns]`, or with more dimensions, all but the first of which
            are flattened.

    Returns:
        `[stack, n, n]` with n = min(rows, columns), float64 (float32 on devices without float64).
    """
    if matrix.ndim > 3:
        matrix = matrix.flatten(1)
    if matrix.ndim == 2:
        matrix = matrix.unsqueeze(0)
    if matrix.shape[-2] < matrix.shape[-1]:
        matrix = matrix.mT
    accumulate = torch.float32 if matrix.device.type == "mps" else torch.float64
    with torch.no_grad(), torch.autocast(matrix.device.type, enabled=False):
        result = matrix.new_zeros((*matrix.shape[:-2], matrix.shape[-1], matrix.shape[-1]), dtype=accumulate)
        for rows in torch.split(matrix, _CHUNK_ROWS, dim=-2):
            rows = rows.to(accumulate)  # noqa: PLW2901  only one chunk at a time is held in float64
            result += rows.mT @ rows
    return result


def _effective_rank(singular: FloatArray) -> FloatArray:
    total = singular.sum(axis=-1, keepdims=True)
    with np.errstate(all="ignore"):
        share = singular / total
        entropy = -np.where(share > 0.0, share * np.log(np.where(share > 0.0, share, 1.0)), 0.0).sum(axis=-1)
    # The rank of a zero matrix is 0; that of a matrix with a NaN is NaN.
    return np.where(total[..., 0] == 0.0, 0.0, np.where(np.isnan(total[..., 0]), np.nan, np.exp(entropy)))


def _stable_rank(singular: FloatArray) -> FloatArray:
    squares = np.square(singular)
    return _quotient(squares.sum(axis=-1), squares.max(axis=-1))


def _participation_ratio(singular: FloatArray) -> FloatArray:
    squares = np.square(singular)
    return _quotient(np.square(squares.sum(axis=-1)), np.square(squares).sum(axis=-1))


def _top1_share(singular: FloatArray) -> FloatArray:
    return _quotient(singular.max(axis=-1), singular.sum(axis=-1))


def _quotient(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    with np.errstate(all="ignore"):
        return np.where(denominator == 0.0, 0.0, numerator / denominator)


_FORMULAS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "effective_rank": _effective_rank,
    "stable_rank": _stable_rank,
    "participation_ratio": _participation_ratio,
    "top1_share": _top1_share,
}
