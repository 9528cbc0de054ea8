"""A series in a few characters, `▇▅▃▂▁×▁▁`: each is the mean of an interval of steps."""

from __future__ import annotations

import itertools
import math
import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import holter

__all__ = ["read_sparklines", "sparkline"]

LEVELS = "▁▂▃▄▅▆▇█"
NONFINITE = "×"
ABSENT = " "
BUCKETS_PER_CHARACTER = 8


def sparkline(steps: list[int], values: list[float], width: int) -> str:
    """Draw values over their steps in `width` characters.

    An interval that contains NaN or infinity is `×`. An interval without a point is empty, unless the series is so
    sparse that such gaps are usual: then it repeats the previous character.

    Args:
        steps: Ascending.
        values: One for each step.
        width: The number of characters.
    """
    if not steps:
        return ABSENT * width
    first, span = steps[0], steps[-1] - steps[0] + 1
    bins: list[list[float]] = [[] for _ in range(width)]
    for step, value in zip(steps, values, strict=True):
        bins[min((step - first) * width // span, width - 1)].append(value)
    means = [math.fsum(found) / len(found) if found and all(map(math.isfinite, found)) else None for found in bins]
    finite = [mean for mean in means if mean is not None and math.isfinite(mean)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    drawn = [
        (NONFINITE if found else ABSENT) if mean is None else _level(mean, low, high)
        for mean, found in zip(means, bins, strict=True)
    ]
    gaps = [after - before for before, after in itertools.pairwise(steps)]
    usual = statistics.median(gaps) * width / span if gaps else 0.0
    return _filled("".join(drawn), math.ceil(usual))


def read_sparklines(run: holter.Run, names: Sequence[str], width: int) -> dict[str, str]:
    """Draw series of a run over all their steps, from a few buckets of each rather than from their points."""
    import numpy as np

    if not names:
        return {}
    drawn = {}
    for buckets in run.buckets(list(names), max_buckets=width * BUCKETS_PER_CHARACTER):
        means = np.where(buckets.nonfinite_counts > 0, np.nan, buckets.means)
        drawn[buckets.name] = sparkline(buckets.steps.tolist(), means.tolist(), width)
    return drawn


def _level(mean: float, low: float, high: float) -> str:
    share = (mean / 2 - low / 2) / (high / 2 - low / 2) if high > low else 0.5
    return LEVELS[min(int(share * len(LEVELS)), len(LEVELS) - 1)]


def _filled(drawn: str, usual: int) -> str:
    """The line with gaps of at most `usual` characters filled by the character before them."""
    filled, gap = "", 0
    for character in drawn:
        if character == ABSENT:
            gap += 1
            continue
        filled += (filled[-1:] if gap <= usual else ABSENT) * gap + character
        gap = 0
    return filled.ljust(len(drawn), ABSENT)
