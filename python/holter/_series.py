"""The points and the facts of a series. numpy is imported on first use."""

import importlib
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, SupportsIndex, TypeAlias

from holter._direction import direction

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

__all__ = ["MAX_STEP", "MIN_STEP", "Columns", "Series", "SeriesFacts", "load", "series_of", "step_bounds"]

MIN_STEP, MAX_STEP = -(1 << 63), (1 << 63) - 1

Columns: TypeAlias = tuple[bytearray, bytearray, bytearray]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Series:
    """The points of a series, or those in a range of steps.

    Attributes:
        name: The metric's name.
        steps: Shape (n,), int64, strictly ascending.
        values: Shape (n,), float64. NaN and infinities are logged values; a step without a point is absent.
        timestamps: Shape (n,), datetime64[us], UTC: when each point was logged, to a few milliseconds.
    """

    name: str
    steps: "npt.NDArray[np.int64]"
    values: "npt.NDArray[np.float64]"
    timestamps: "npt.NDArray[np.datetime64]"

    @property
    def last(self) -> float | None:
        """The value at the largest step; None if there are no points."""
        return float(self.values[-1]) if len(self) else None

    def to_pandas(self) -> "pd.Series[float]":
        """Return the values as a pandas Series, float64, with the steps as its index.

        Raises:
            ImportError: If pandas is not installed.
        """
        pandas = load("pandas", "pandas")
        return pandas.Series(self.values, pandas.Index(self.steps, name="step"), name=self.name)

    def __len__(self) -> int:
        return len(self.steps)

    def __repr__(self) -> str:
        if not len(self):
            return f"<Series {self.name!r}: no points>"
        points = f"{len(self)} points, steps {self.steps[0]} to {self.steps[-1]}"
        return f"<Series {self.name!r}: {points}, last {self.last!r}>"


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """What is known about a series without reading its points.

    Attributes:
        name: The metric's name.
        count: The number of points, at least 1.
        nonfinite_count: How many of them are NaN or infinite.
        first_step: The smallest step.
        last_step: The largest step.
        last_value: The value at the largest step.
        min: The smallest finite value; None if no value is finite.
        min_step: The smallest step with that value.
        max: The largest finite value; None if no value is finite.
        max_step: The smallest step with that value.
    """

    name: str
    count: int
    nonfinite_count: int
    first_step: int
    last_step: int
    last_value: float
    min: float | None = None
    min_step: int | None = None
    max: float | None = None
    max_step: int | None = None

    @property
    def best(self) -> float | None:
        """`min` if lower is better for a metric of this name, `max` if higher is better, None if that is unknown."""
        better = direction(self.name)
        return self.min if better == "lower" else self.max if better == "higher" else None

    @property
    def best_step(self) -> int | None:
        """The smallest step with the best value; None if there is none."""
        better = direction(self.name)
        return self.min_step if better == "lower" else self.max_step if better == "higher" else None


def series_of(name: str, columns: Columns) -> Series:
    """Return a series whose arrays share the memory of these little-endian buffers."""
    steps, values, timestamps = columns
    array = load("numpy").frombuffer
    return Series(name, array(steps, "<i8"), array(values, "<f8"), array(timestamps, "<M8[us]"))


def step_bounds(start: SupportsIndex | None, stop: SupportsIndex | None) -> tuple[int | None, int | None]:
    """Return the bounds as 64-bit integers that select the same steps."""
    first = None if start is None else max(operator.index(start), MIN_STEP)
    end = None if stop is None else max(operator.index(stop), MIN_STEP)
    if first is not None and first > MAX_STEP:
        return MIN_STEP, MIN_STEP  # above every step: an empty range
    return first, None if end is None or end > MAX_STEP else end


def load(module: str, extra: str | None = None) -> Any:
    """Import an optional dependency.

    Raises:
        ImportError: If it is missing, with the command that installs it; or if it is installed but broken.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise ImportError(f"{module} is installed but cannot be imported: {error}") from error
        package = f"holter[{extra}]" if extra else module
        raise ImportError(f"this needs {module}; install it with: pip install '{package}'") from error
    except ImportError as error:
        raise ImportError(f"{module} is installed but cannot be imported: {error}") from error


for _public in (Series, SeriesFacts):
    _public.__module__ = "holter"
