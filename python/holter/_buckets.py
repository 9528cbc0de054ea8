"""A series aggregated in buckets of steps: few numbers for many points, without losing extremes.

numpy is imported on first use.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Buckets", "from_columns"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Buckets:
    """A series in buckets of steps, on the same grid for all series and runs.

    Bucket b covers the steps from b * width to (b + 1) * width, excluding the latter. Empty buckets are absent.
    A coarser bucket is the exact aggregate of the finer ones in it: the sum of their counts, the smallest of their
    minima, and so on.

    Attributes:
        name: The metric's name.
        width: Steps per bucket: 1, where each point is a bucket, or 64, 512, 4096, ... (64 * 8**k).
        steps: Shape (n,), int64, strictly ascending: the first step of each bucket.
        last_steps: Shape (n,), int64: the largest step with a point; `steps` if the width is 1.
        counts: Shape (n,), int64, at least 1: the number of points.
        nonfinite_counts: Shape (n,), int64: how many of them are NaN or infinite.
        minima: Shape (n,), float64: the smallest finite value; NaN if there is none.
        maxima: Shape (n,), float64: the largest finite value; NaN if there is none.
        sums: Shape (n,), float64: the sum of the finite values; 0 if there is none.
        square_sums: Shape (n,), float64: the sum of their squares; 0 if there is none.
        lasts: Shape (n,), float64: the value at `last_steps`, finite or not.
        timestamps: Shape (n,), datetime64[us], UTC: when the point at `last_steps` was logged.
    """

    name: str
    width: int
    steps: "npt.NDArray[np.int64]"
    last_steps: "npt.NDArray[np.int64]"
    counts: "npt.NDArray[np.int64]"
    nonfinite_counts: "npt.NDArray[np.int64]"
    minima: "npt.NDArray[np.float64]"
    maxima: "npt.NDArray[np.float64]"
    sums: "npt.NDArray[np.float64]"
    square_sums: "npt.NDArray[np.float64]"
    lasts: "npt.NDArray[np.float64]"
    timestamps: "npt.NDArray[np.datetime64]"

    @property
    def means(self) -> "npt.NDArray[np.float64]":
        """The mean of each bucket's finite values, shape (n,), float64; NaN if there is none."""
        return self._per_finite_value(self.sums)

    @property
    def stds(self) -> "npt.NDArray[np.float64]":
        """The population standard deviation of each bucket's finite values, shape (n,), float64; NaN if there is none.

        Computed as sqrt(mean of squares - square of mean), and 0 if rounding makes that negative; accurate to about
        1e-8 of the values' magnitude.
        """
        import numpy as np

        with np.errstate(invalid="ignore", over="ignore"):
            variances = self._per_finite_value(self.square_sums) - self.means**2
            stds: npt.NDArray[np.float64] = np.sqrt(np.maximum(variances, 0.0))
        return stds

    def _per_finite_value(self, totals: "npt.NDArray[np.float64]") -> "npt.NDArray[np.float64]":
        import numpy as np

        finite_counts = self.counts - self.nonfinite_counts
        means: npt.NDArray[np.float64] = np.full(len(self), np.nan)
        np.divide(totals, finite_counts, out=means, where=finite_counts > 0)
        return means

    def __len__(self) -> int:
        return len(self.steps)

    def __repr__(self) -> str:
        if not len(self):
            return f"<Buckets of {self.name!r}: no points>"
        covered = f"steps {self.steps[0]} to {self.last_steps[-1]}"
        return f"<Buckets of {self.name!r}: {len(self)} of width {self.width}, {self.counts.sum()} points, {covered}>"


def from_columns(name: str, width: int, columns: Sequence[bytearray]) -> Buckets:
    """Return buckets whose arrays share the memory of these little-endian buffers, in the order of the attributes."""
    from numpy import frombuffer

    first_steps, last_steps, counts, nonfinite_counts = (frombuffer(column, "<i8") for column in columns[:4])
    minima, maxima, sums, square_sums, lasts = (frombuffer(column, "<f8") for column in columns[4:9])
    return Buckets(
        name=name,
        width=width,
        steps=first_steps,
        last_steps=last_steps,
        counts=counts,
        nonfinite_counts=nonfinite_counts,
        minima=minima,
        maxima=maxima,
        sums=sums,
        square_sums=square_sums,
        lasts=lasts,
        timestamps=frombuffer(columns[9], "<M8[us]"),
    )


Buckets.__module__ = "holter"
