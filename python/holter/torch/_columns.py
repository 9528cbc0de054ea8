"""Prepared metric names of a step's vectors, so that names are resolved once and not at every step.

A step's plan defines what each element of its vector means. Most steps share a plan, so plans are cached. The cache is
bounded, because a model may use different parameters or modules at every step.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from numpy.typing import NDArray

    from holter import Logger

    FloatArray = NDArray[np.float64]

K = TypeVar("K", bound="Hashable")
P = TypeVar("P")

MAX_CACHED_PLANS = 256


class Columns:
    """The metric name of each element of a vector, prepared for `Logger.log_array`."""

    def __init__(self, logger: Logger, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._logger = logger
        self._metrics: Any = logger.metrics(list(names))

    def record(self, step: int, values: FloatArray) -> None:
        """Log one vector: `values[i]` under `names[i]`."""
        if len(values):
            self._logger.log_array(step, self._metrics, np.ascontiguousarray(values, dtype=np.float64).data)


def cached_plans(make: Callable[[K], P]) -> Callable[[K], P]:
    """Return `make` with its most recently used results cached, at most `MAX_CACHED_PLANS` of them. Thread-safe."""
    return functools.lru_cache(maxsize=MAX_CACHED_PLANS)(make)
