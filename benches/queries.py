"""Time to read one series of 10,000 points among 10 million, with warm caches, by reader.

The first read by each reader is not counted: it fills the caches of the system and of the reader.
"""

import pathlib
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import duckdb
import polars as pl
import pyarrow.compute
import pyarrow.dataset
from support import names, record, report, scratch

import holter

SERIES, STEPS, TURNS = 1000, 10_000, 31
QUERY = "SELECT step, value FROM metrics WHERE name = '{name}'"


def readers(run: pathlib.Path) -> dict[str, tuple[str, Callable[[str], Any]]]:
    """Return by key a title and a function that reads a series and returns its length."""
    database = sqlite3.connect(f"file:{run / 'metrics.sqlite'}?mode=ro", uri=True)
    parquet, files = str(run / "parquet"), str(run / "parquet" / "*.parquet")
    connection = duckdb.connect()

    def by_sqlite(name: str) -> int:
        return len(database.execute(QUERY.format(name=name)).fetchall())

    def by_fresh_sqlite(name: str) -> int:
        fresh = sqlite3.connect(f"file:{run / 'metrics.sqlite'}?mode=ro", uri=True)
        count = len(fresh.execute(QUERY.format(name=name)).fetchall())
        fresh.close()
        return count

    def by_shell(name: str) -> int:
        command = ["sqlite3", "-readonly", run / "metrics.sqlite", QUERY.format(name=name)]
        return subprocess.run(command, capture_output=True, check=True).stdout.count(b"\n")

    def by_pyarrow(name: str) -> int:
        is_wanted = pyarrow.compute.field("name") == name
        return pyarrow.dataset.dataset(parquet).to_table(columns=["step", "value"], filter=is_wanted).num_rows

    def by_duckdb(name: str) -> int:
        query = f"SELECT step, value FROM read_parquet('{files}') WHERE name = '{name}'"
        return len(connection.execute(query).fetchnumpy()["step"])

    def by_polars(name: str) -> int:
        lazy = pl.scan_parquet(files).filter(pl.col("name") == name).select("step", "value")
        return lazy.collect().height

    opened = holter.open_run(run)

    def by_holter(name: str) -> int:
        series = opened.series(name)
        return min(len(series.steps), len(series.values))

    found = {
        "sqlite": ("per-metric SQL query, Python's sqlite3", by_sqlite),
        "sqlite_fresh": ("per-metric SQL query, Python's sqlite3, including the connection", by_fresh_sqlite),
        "pyarrow": ("pyarrow dataset, filtered", by_pyarrow),
        "duckdb": ("DuckDB on the Parquet files", by_duckdb),
        "polars": ("Polars on the Parquet files", by_polars),
    }
    if shutil.which("sqlite3"):
        found["shell"] = ("per-metric SQL query, sqlite3 shell, including its start and output", by_shell)
    found["holter"] = ("`holter.open_run(…).series(…)`, steps and values", by_holter)
    return found


def main() -> None:
    """Record the run and read it."""
    wanted = names(SERIES)
    with scratch() as directory:
        run = directory / "run"
        record(run, SERIES, STEPS)
        plan = sqlite3.connect(run / "metrics.sqlite").execute(f"EXPLAIN QUERY PLAN {QUERY.format(name=wanted[0])}")
        print(*(row[3] for row in plan), sep="; ", file=sys.stderr)
        for key, (title, read) in readers(run).items():
            times = []
            for turn in range(TURNS):
                name = wanted[turn * 317 % SERIES]
                began = time.perf_counter()
                count = read(name)
                times.append((time.perf_counter() - began) * 1e3)
                if count != STEPS:
                    sys.exit(f"{title} found {count} points of {STEPS}")
            report(f"queries.{key}", title, times[1:], "ms")
        single = statistics.median(_times_of_step(run))
        report("queries.step", "all 1,000 series at one step, Python's sqlite3", single, "ms")


def _times_of_step(run: pathlib.Path) -> list[float]:
    database = sqlite3.connect(f"file:{run / 'metrics.sqlite'}?mode=ro", uri=True)
    times = []
    for turn in range(TURNS):
        began = time.perf_counter()
        database.execute("SELECT name, value FROM metrics WHERE step = ?", [turn * 317]).fetchall()
        times.append((time.perf_counter() - began) * 1e3)
    return times[1:]


main()
