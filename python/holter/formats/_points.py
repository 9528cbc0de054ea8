"""Points to export: chunks of one series, and the columns that CSV, JSON Lines and Parquet share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import holter

__all__ = ["CHUNK_POINTS", "COLUMNS", "SeriesChunk", "rows"]

COLUMNS = ("run", "rank", "name", "step", "value", "timestamp")
CHUNK_POINTS = 1 << 17
"""A good size of chunks; an export keeps a few of them in memory."""


@dataclass(frozen=True)
class SeriesChunk:
    """Points of one series.

    Attributes:
        run: The run's name.
        rank: The rank that recorded them.
        points: The points, and the name of the series.
    """

    run: str
    rank: int
    points: holter.Series


def rows(points: holter.Series) -> Iterator[tuple[int, float, str]]:
    """Yield the step, value and time of each point; the time is ISO 8601 in UTC, to the microsecond."""
    import numpy as np

    times = np.datetime_as_string(points.timestamps, unit="us", timezone="UTC").tolist()
    return zip(points.steps.tolist(), points.values.tolist(), times, strict=True)
