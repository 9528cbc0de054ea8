"""Objects with unusual conversions, and a logger that must work correctly to the end of a test."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import holter
import run_files


class StrangeFloat(float):
    def __float__(self) -> float:
        raise RuntimeError("not called")


class Raising:
    def __float__(self) -> float:
        raise RuntimeError("no float today")


class RaisingItem:
    def item(self) -> float:
        raise RuntimeError("no item today")


class IntLike:
    def __index__(self) -> int:
        return 7


class Name(str):
    __slots__ = ()


class HostileName(str):
    __slots__ = ()

    def __hash__(self) -> int:
        raise RuntimeError("no hash today")


@contextlib.contextmanager
def checked_logger(run_dir: Path) -> Iterator[holter.Logger]:
    """Yield a logger; afterwards check that it still works, and that the files have exactly the accepted points."""
    logger = holter.Logger(run_dir, journal_points=1 << 12)
    logger.log(0, "before", 1.0)
    yield logger
    logger.log(1, "after", 2.0)
    logger.close()
    points = run_files.sqlite_points(run_dir)
    assert points["before", 0] == 1.0
    assert points["after", 1] == 2.0
    assert len(points) == logger.health.accepted, "a point was recorded twice or replaced"
    assert logger.health.dropped == 0
    run_files.assert_same_points(run_files.parquet_points(run_dir), points)
