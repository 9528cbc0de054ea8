"""Time to read a chart's data from rollups and from points, and the size of the rollups on disk.

The run is closed, its files are cached. After the rollup table is dropped, the same reads return the same
buckets, computed from the points. The pages that the drop frees are the size of the rollups.
"""

import pathlib
import sqlite3
import sys
import time
from collections.abc import Callable

from support import names, record, report, scratch

import holter

SERIES, STEPS, TURNS = 100, 100_000, 15
ALL_SERIES = f"{SERIES} series × {STEPS:,} steps"


def reads(run: holter.Run) -> dict[str, tuple[str, Callable[[], list[holter.Buckets]]]]:
    """Return by key a title and a function that reads buckets."""
    wanted = names(SERIES)
    third, half = STEPS // 3, STEPS // 2
    return {
        "all": (f"{ALL_SERIES}: all series, at most 1,000 buckets each", lambda: run.buckets(wanted)),
        "fine": (f"{ALL_SERIES}: all series in buckets of 64 steps", lambda: run.buckets(wanted, width=64)),
        "window": (
            f"{ALL_SERIES}: a sixth of the steps, at most 1,000 buckets each",
            lambda: run.buckets(wanted, start=third, stop=half),
        ),
        "one": (f"{ALL_SERIES}: one series, at most 1,000 buckets", lambda: run.buckets(wanted[7:8])),
    }


def measure(run: holter.Run, key: str, source: str, turns: int) -> None:
    """Report the time of each read; the first one is not counted."""
    for kind, (title, read) in reads(run).items():
        times = []
        for _ in range(turns + 1):
            began = time.perf_counter()
            found = read()
            times.append((time.perf_counter() - began) * 1e3)
            if not all(len(buckets) for buckets in found):
                sys.exit(f"{title}: no points found")
        report(f"rollups.{kind}.{key}", f"{title}, from {source}", times[1:], "ms")


def drop_rollups(path: pathlib.Path) -> int:
    """Drop the table and return its size in bytes."""
    database = sqlite3.connect(path / "metrics.sqlite")
    (page_size,) = database.execute("PRAGMA page_size").fetchone()
    (free_before,) = database.execute("PRAGMA freelist_count").fetchone()
    database.execute("DROP TABLE rollups")
    (free_after,) = database.execute("PRAGMA freelist_count").fetchone()
    database.close()
    return int((free_after - free_before) * page_size)


def main() -> None:
    """Record, read, drop, read again."""
    with scratch() as directory:
        record(directory / "run", SERIES, STEPS)
        run = holter.open_run(directory / "run")
        measure(run, "rollups", "rollups", TURNS)
        times = []
        for _ in range(1_000):
            began = time.perf_counter()
            _ = run.revision
            times.append((time.perf_counter() - began) * 1e6)
        report("rollups.revision", "`Run.revision`", times, "µs")
        num_bytes = drop_rollups(directory / "run")
        report("rollups.bytes", f"{ALL_SERIES}: the table `rollups`", num_bytes / SERIES / STEPS, "bytes/point")
        measure(holter.open_run(directory / "run"), "points", "points", 3)


main()
