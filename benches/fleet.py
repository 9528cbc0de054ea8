"""Reads of many runs: one series of one run, and the band of one series over all runs, from several layouts.

The layouts: as recorded, with separate files for each run; through a table of the names and steps in each
row group; and a copy of all runs sorted by name. Caches are warm: the first read of each kind is not counted.
`docs/scale.md` has the figures of

    python benches/fleet.py --runs 200 --series 50 --steps 1000
    python benches/fleet.py --runs 20 --series 1000 --steps 1000
"""

import argparse
import pathlib
import time
from collections.abc import Callable

import duckdb
import polars as pl
from support import names, report, scratch, values

import holter

TURNS = 11
INDEX = """
    CREATE TABLE row_groups AS
    SELECT file_name AS file, row_group_id, any_value(row_group_num_rows) AS rows,
           max(stats_min_value) FILTER (path_in_schema = 'name') AS first_name,
           max(stats_max_value) FILTER (path_in_schema = 'name') AS last_name,
           sum(total_compressed_size) FILTER (path_in_schema IN ('name', 'step', 'value', 'rank')) AS bytes
    FROM parquet_metadata('{files}')
    GROUP BY file_name, row_group_id
"""


def record(root: pathlib.Path, num_runs: int, num_series: int, num_steps: int) -> None:
    """Record runs into Parquet only."""
    for number in range(num_runs):
        with holter.Logger(root / f"run-{number:05}", sinks=["parquet"], journal_points=1 << 16) as logger:
            metrics = logger.metrics(names(num_series))
            for step, row in enumerate(values(num_steps, num_series, seed=number)):
                logger.log_array(step, metrics, row)


def measure(key: str, what: str, read: Callable[[], object]) -> None:
    """Report the time of a read with warm caches."""
    read()
    samples = []
    for _ in range(TURNS):
        began = time.perf_counter()
        read()
        samples.append((time.perf_counter() - began) * 1e3)
    report(f"fleet.{key}", what, samples, "ms")


def report_files(connection: duckdb.DuckDBPyConnection, root: pathlib.Path, name: str) -> None:
    """Report the files on disk, and the part of them that statistics cannot exclude when reading one name."""
    files = list(root.glob("*/parquet/*.parquet"))
    num_bytes = sum(file.stat().st_size for file in files)
    ((points, groups),) = connection.execute("SELECT sum(rows), count(*) FROM row_groups").fetchall()
    hit = "SELECT count(DISTINCT file), count(*), sum(bytes) FROM row_groups WHERE ? BETWEEN first_name AND last_name"
    ((hit_files, hit_groups, hit_bytes),) = connection.execute(hit, [name]).fetchall()
    report("fleet.points", "points", float(points), "")
    report("fleet.files", "files", len(files), "")
    report("fleet.bytes", "bytes per point, including footers", num_bytes / float(points), "bytes")
    report("fleet.groups", "row groups", groups, "")
    report("fleet.hit_files", "files with a row group that may contain the name", hit_files, "")
    report("fleet.hit_groups", "row groups that may contain the name", hit_groups, "")
    report("fleet.hit_share", "their columns for a band, as a share of all bytes", float(hit_bytes) / num_bytes, "")


def measure_reads(connection: duckdb.DuckDBPyConnection, root: pathlib.Path, copy: pathlib.Path, name: str) -> None:
    """Report the time of the queries on each layout."""
    files, run = f"{root}/*/parquet/*.parquet", root / "run-00003"

    def query(text: str) -> Callable[[], object]:
        return lambda: connection.execute(text).fetchnumpy()

    of_name = f"WHERE name = '{name}'"
    of_run = f"{of_name} AND run = '{run.name}'"
    points = "SELECT step, value FROM"
    band = "SELECT step, avg(value), stddev_pop(value), min(value), max(value), count(*) FROM"
    measure("series.holter", "one series of one run, holter", lambda: holter.open_run(run).series(name))
    measure("series.own", "DuckDB on that run's files", query(f"{points} '{run}/parquet/*.parquet' {of_name}"))
    measure("series.all", "DuckDB on all files, filtered by run", query(f"{points} '{files}' {of_run}"))
    measure("series.copy", "DuckDB on the copy", query(f"{points} '{copy}' {of_run}"))
    measure("band.duckdb", "band over all runs, DuckDB", query(f"{band} '{files}' {of_name} GROUP BY step"))
    measure("band.copy", "DuckDB on the copy", query(f"{band} '{copy}' {of_name} GROUP BY step"))
    value = pl.col("value")
    statistics = (value.mean(), value.std(ddof=0).alias("std"), value.min().alias("min"), value.max().alias("max"))
    lazy = pl.scan_parquet(files).filter(pl.col("name") == name).group_by("step").agg(*statistics)
    measure("band.polars", "Polars", lazy.collect)


def main() -> None:
    """Record a fleet and read it."""
    parser = argparse.ArgumentParser()
    for option in ("--runs", "--series", "--steps"):
        parser.add_argument(option, type=int, required=True)
    arguments = parser.parse_args()
    num_points = arguments.runs * arguments.series * arguments.steps
    name = names(arguments.series)[arguments.series // 2]
    with scratch() as folder:
        root, copy = folder / "runs", folder / "by-name.parquet"
        files = f"{root}/*/parquet/*.parquet"
        connection = duckdb.connect()

        def report_time(key: str, what: str, act: Callable[[], object]) -> None:
            began = time.perf_counter()
            act()
            report(f"fleet.{key}", what, time.perf_counter() - began, "s")

        report_time("record", "recording all runs in sequence", lambda: record(root, *vars(arguments).values()))
        report_time("index", "creating the table of row groups", lambda: connection.execute(INDEX.format(files=files)))
        report_files(connection, root, name)
        copying = f"COPY (FROM '{files}' ORDER BY name, run, step) TO '{copy}' (COMPRESSION zstd)"
        report_time("copy", "creating the copy sorted by name", lambda: connection.execute(copying))
        report("fleet.copy_bytes", "bytes per point in the copy", copy.stat().st_size / num_points, "bytes")
        measure_reads(connection, root, copy, name)


main()
