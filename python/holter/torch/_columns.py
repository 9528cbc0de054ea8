"""Columns: which metric each place of a step's vector is, so that names are resolved once and never in a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from holter import Logger

    FloatArray = NDArray[np.float64]


class Columns:
    """The names of a vector's places, prepared for `Logger.log_array`."""

    def __init__(self, logger: Logger, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._logger = logger
        self._metrics: Any = logger.metrics(list(names))

    def record(self, step: int, values: FloatArray) -> None:
        """Hand one vector over, `values[i]` under `names[i]`."""
        if len(values):
            self._logger.log_array(step, self._metrics, np.ascontiguousarray(values, dtype=np.float64).data)
