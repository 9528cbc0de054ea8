"""A run's points as an Arrow stream."""

from typing import SupportsIndex

from holter import _core
from holter._ranks import Ranks

__all__ = ["Table"]


class Table:
    """Points of a run, through the Arrow PyCapsule interface.

    Pass it to `pyarrow.table(points)`, `polars.DataFrame(points)` or `duckdb.sql("SELECT ... FROM points")`. Columns:
    `run` string, `rank` int32, `name` string, `step` int64, `value` float64, `timestamp` timestamp[us, UTC]; rows
    ordered by rank, name and step. Each use reads the run again, in batches, and only as far as it is consumed.
    """

    __slots__ = ("_pattern", "_rank", "_ranks")

    def __init__(self, ranks: Ranks, pattern: str, rank: SupportsIndex | None) -> None:
        self._ranks = ranks
        self._pattern = pattern
        self._rank = rank

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return a new stream as a PyCapsule.

        Args:
            requested_schema: Ignored, as the interface permits; the types are always those above.

        Raises:
            StoreError: If the run cannot be read.
        """
        del requested_schema
        return _core.arrow_stream(list(self._ranks.readers(self._rank)), self._pattern)

    def __repr__(self) -> str:
        rank = "" if self._rank is None else f" of rank {self._rank}"
        return f"<Table of {self._pattern!r}{rank} in {str(self._ranks.path)!r}>"
