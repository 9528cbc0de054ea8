"""Rank: how many directions a matrix uses, from its singular values s.

    effective_rank       exp(-Σ p log p) with p = s / Σ s       (Roy and Vetterli, 2007)
    stable_rank          Σ s² / max s²
    participation_ratio  (Σ s²)² / Σ s⁴
    top1_share           max s / Σ s

The matrix is reduced to its Gram matrix on its device; the eigenvalues, whose computation would make the training
thread wait for the device, are taken on staging's thread. The Gram matrix is in float64, since squaring loses half of
the digits: in float32 the hundreds of zero singular values of a matrix of low rank would come out large enough to
count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from holter.torch._cadence import Cadence
from holter.torch._columns import Columns
from holter.torch._distributed import whole
from holter.torch._names import clean_path, labels, matches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from torch import Tensor, nn

    from holter import Logger
    from holter.torch._columns import FloatArray
    from holter.torch._staging import Staging

_CHUNK_ROWS = 4096
"""Rows that are in float64 at a time: a large embedding is never copied whole."""


@dataclass(frozen=True)
class Rank:
    """Which parameters' ranks to record, and when.

    Attributes:
        pattern: shell-style pattern of parameter names; `*` matches dots as well. Parameters of fewer than two
            dimensions are passed over; one of three dimensions is a stack of matrices, whose numbers are averaged; one
            of more is taken as a matrix of its first dimension by all others.
        every: every how many steps.
        metrics: which of the four to record.
    """

    pattern: str
    every: int = 500
    metrics: tuple[str, ...] = ("effective_rank", "stable_rank", "participation_ratio", "top1_share")

    def __post_init__(self) -> None:
        Cadence(self.every)
        unknown = [metric for metric in self.metrics if metric not in _FORMULAS]
        if unknown:
            raise ValueError(f"metrics must be among {', '.join(_FORMULAS)}; not {', '.join(map(str, unknown))}")


def ranks_of(rank: Rank | Sequence[Rank] | None) -> tuple[Rank, ...]:
    """What `watch`'s argument means."""
    if rank is None:
        return ()
    return (rank,) if isinstance(rank, Rank) else tuple(rank)


class Ranks:
    """Takes the ranks of one model's matrices.

    Raises:
        ValueError: a pattern matches no matrix.
    """

    def __init__(self, model: nn.Module, logger: Logger, settings: Iterable[Rank]) -> None:
        self._groups: list[tuple[Cadence, list[_Matrix]]] = []
        parameters = {clean_path(name): parameter for name, parameter in model.named_parameters()}
        for one in settings:
            found = {name: p for name, p in parameters.items() if matches(name, one.pattern) and p.ndim >= 2}
            if not found:
                raise ValueError(f"no matrix among the parameters has a name like {one.pattern!r}")
            matrices = [
                _Matrix(found[name], Columns(logger, [f"{metric}/{label}" for metric in one.metrics]), one.metrics)
                for name, label in labels(found).items()
            ]
            self._groups.append((Cadence(one.every), matrices))

    def take(self, staging: Staging, step: int) -> None:
        """Start whatever is due at this step, with the matrices as they are now."""
        for cadence, matrices in self._groups:
            if cadence.due(step):
                cadence.done(step)
                for matrix in matrices:
                    matrix.take(staging, step)


class _Matrix:
    """One parameter and the columns of its ranks."""

    def __init__(self, parameter: Tensor, columns: Columns, metrics: tuple[str, ...]) -> None:
        self._parameter = parameter
        self._columns = columns
        self._metrics = metrics

    def take(self, staging: Staging, step: int) -> None:
        staging.fetch(f"ranks of {self._columns.names[0]}", self.receive, step, gram(whole(self._parameter.detach())))

    def receive(self, step: int, values: FloatArray) -> None:
        if np.isfinite(values).all():
            singular = np.sqrt(np.clip(np.linalg.eigvalsh(values), 0.0, None))
        else:
            singular = np.full(values.shape[:-1], np.nan)
        numbers = [np.mean(_FORMULAS[metric](singular)) for metric in self._metrics]
        self._columns.record(step, np.asarray(numbers))


def gram(matrix: Tensor) -> Tensor:
    """The smaller Gram matrix of each matrix, float64 `[stack, n, n]`; its eigenvalues are the squared singular values.

    float32 on devices without float64.
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
            rows = rows.to(accumulate)  # noqa: PLW2901  only one chunk is held in float64
            result += rows.mT @ rows
    return result


def _effective_rank(singular: FloatArray) -> FloatArray:
    total = singular.sum(axis=-1, keepdims=True)
    with np.errstate(all="ignore"):
        share = singular / total
        entropy = -np.where(share > 0.0, share * np.log(np.where(share > 0.0, share, 1.0)), 0.0).sum(axis=-1)
    # A matrix of zeros has no directions; one with a NaN has no answer.
    return np.where(total[..., 0] == 0.0, 0.0, np.where(np.isnan(total[..., 0]), np.nan, np.exp(entropy)))


def _stable_rank(singular: FloatArray) -> FloatArray:
    squares = np.square(singular)
    return _quotient(squares.sum(axis=-1), squares.max(axis=-1))


def _participation_ratio(singular: FloatArray) -> FloatArray:
    squares = np.square(singular)
    return _quotient(np.square(squares.sum(axis=-1)), np.square(squares).sum(axis=-1))


def _top1_share(singular: FloatArray) -> FloatArray:
    return _quotient(singular.max(axis=-1), singular.sum(axis=-1))


def _quotient(above: FloatArray, below: FloatArray) -> FloatArray:
    with np.errstate(all="ignore"):
        return np.where(below == 0.0, 0.0, above / below)


_FORMULAS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "effective_rank": _effective_rank,
    "stable_rank": _stable_rank,
    "participation_ratio": _participation_ratio,
    "top1_share": _top1_share,
}
