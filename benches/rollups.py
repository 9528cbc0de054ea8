"""What a chart's data cost to read, by rollups and by the points, and what rollups take on disk.

The run is closed, its files warm. The same questions are asked again when the table of the rollups has been dropped:
the answers are the same, and come from the points. The pages that this frees are what the rollups took.
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


def questions(run: holter.Run) -> dict[str, tuple[str, Callable[[], list[holter.Buckets]]]]:
    """By key: the title, and what asks."""
    wanted = names(SERIES)
    third, half = STEPS // 3, STEPS // 2
    return {
        "all": (f"{ALL_SERIES}: all of them, at most 1,000 buckets each", lambda: run.buckets(wanted)),
        "fine": (f"{ALL_SERIES}: all of them in buckets of 64 steps", lambda: run.buckets(wanted, width=64)),
        "window": (
            f"{ALL_SERIES}: a sixth of the steps, at most 1,000 buckets each",
            lambda: run.buckets(wanted, start=third, stop=half),
        ),
        "one": (f"{ALL_SERIES}: one of them, at most 1,000 buckets", lambda: run.buckets(wanted[7:8])),
    }


def ask(run: holter.Run, key: str, by_what: str, turns: int) -> None:
    """Report how long each question takes, the first time not counted."""
    for question, (title, answer) in questions(run).items():
        times = []
        for _ in range(turns + 1):
            began = time.perf_counter()
            found = answer()
            times.append((time.perf_counter() - began) * 1e3)
            if not all(len(buckets) for buckets in found):
                sys.exit(f"{title}: there is nothing in it")
        report(f"rollups.{question}.{key}", f"{title}, {by_what}", times[1:], "ms")


def drop_rollups(path: pathlib.Path) -> int:
    """Drop the table and return how many bytes it had."""
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
        ask(run, "rollups", "by rollups", TURNS)
        times = []
        for _ in range(1_000):
            began = time.perf_counter()
            _ = run.revision
            times.append((time.perf_counter() - began) * 1e6)
        report("rollups.revision", "`Run.revision`", times, "µs")
        num_bytes = drop_rollups(directory / "run")
        report("rollups.bytes", f"{ALL_SERIES}: the table `rollups`", num_bytes / SERIES / STEPS, "bytes a point")
        ask(holter.open_run(directory / "run"), "points", "by the points", 3)


main()
