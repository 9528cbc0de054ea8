"""Many runs read at once: one series of one run, and the band of one series over all runs, by several layouts.

As recorded, where each run has its own files; from a table that says which row groups of which file have which names
and steps; and from a copy of all runs that is sorted by name. Reads are warm: the first of each kind is not counted.
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
    """Make runs that have Parquet alone."""
    for number in range(num_runs):
        with holter.Logger(root / f"run-{number:05}", sinks=["parquet"], journal_points=1 << 16) as logger:
            metrics = logger.metrics(names(num_series))
            for step, row in enumerate(values(num_steps, num_series, seed=number)):
                logger.log_array(step, metrics, row)


def measure(key: str, what: str, read: Callable[[], object]) -> None:
    """Report how long a read takes, warm."""
    read()
    samples = []
    for _ in range(TURNS):
        begun = time.perf_counter()
        read()
        samples.append((time.perf_counter() - begun) * 1e3)
    report(f"fleet.{key}", what, samples, "ms")


def report_files(connection: duckdb.DuckDBPyConnection, root: pathlib.Path, name: str) -> None:
    """Report what lies on the disk, and how much of it the statistics leave to be read for one name."""
    files = list(root.glob("*/parquet/*.parquet"))
    num_bytes = sum(file.stat().st_size for file in files)
    ((points, groups),) = connection.execute("SELECT sum(rows), count(*) FROM row_groups").fetchall()
    hit = "SELECT count(DISTINCT file), count(*), sum(bytes) FROM row_groups WHERE ? BETWEEN first_name AND last_name"
    ((hit_files, hit_groups, hit_bytes),) = connection.execute(hit, [name]).fetchall()
    report("fleet.points", "points", float(points), "")
    report("fleet.files", "files", len(files), "")
    report("fleet.bytes", "bytes a point, footers included", num_bytes / float(points), "bytes")
    report("fleet.groups", "row groups", groups, "")
    report("fleet.hit_files", "files with a row group that may have the name", hit_files, "")
    report("fleet.hit_groups", "row groups that may have the name", hit_groups, "")
    report("fleet.hit_share", "their columns for a band: share of all bytes", float(hit_bytes) / num_bytes, "")


def measure_reads(connection: duckdb.DuckDBPyConnection, root: pathlib.Path, copy: pathlib.Path, name: str) -> None:
    """Report how long the queries take by each layout."""
    files, one = f"{root}/*/parquet/*.parquet", root / "run-00003"

    def ask(query: str) -> Callable[[], object]:
        return lambda: connection.execute(query).fetchnumpy()

    of_name = f"WHERE name = '{name}'"
    of_one = f"{of_name} AND run = '{one.name}'"
    points = "SELECT step, value FROM"
    band = "SELECT step, avg(value), stddev_pop(value), min(value), max(value), count(*) FROM"
    measure("series.holter", "one series of one run, holter", lambda: holter.open_run(one).series(name))
    measure("series.own", "DuckDB on the run's own files", ask(f"{points} '{one}/parquet/*.parquet' {of_name}"))
    measure("series.all", "DuckDB on all files, by run", ask(f"{points} '{files}' {of_one}"))
    measure("series.copy", "DuckDB on the copy", ask(f"{points} '{copy}' {of_one}"))
    measure("band.duckdb", "the band over all runs, DuckDB", ask(f"{band} '{files}' {of_name} GROUP BY step"))
    measure("band.copy", "DuckDB on the copy", ask(f"{band} '{copy}' {of_name} GROUP BY step"))
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

        def make(key: str, what: str, act: Callable[[], object]) -> None:
            begun = time.perf_counter()
            act()
            report(f"fleet.{key}", what, time.perf_counter() - begun, "s")

        make("record", "recording one after the other", lambda: record(root, *vars(arguments).values()))
        make("index", "making the table of row groups", lambda: connection.execute(INDEX.format(files=files)))
        report_files(connection, root, name)
        copying = f"COPY (FROM '{files}' ORDER BY name, run, step) TO '{copy}' (COMPRESSION zstd)"
        make("copy", "making the copy that is sorted by name", lambda: connection.execute(copying))
        report("fleet.copy_bytes", "bytes a point in the copy", copy.stat().st_size / num_points, "bytes")
        measure_reads(connection, root, copy, name)


main()
