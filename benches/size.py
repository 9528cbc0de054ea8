"""Bytes per point of a closed run, in the database and in the Parquet files.

A run at full speed lasts seconds, and small timestamps make small rows. A second run therefore starts three days in the
past and commits step by step, as a run of days does: its timestamps have full size, every step has a different
one, and pages fill one row at a time. For comparison, a plain table with text columns holds the same values.
"""

import json
import pathlib
import sqlite3
import sys
import time

from support import names, record, report, scratch, values

import holter

SERIES, STEPS, STEPS_OF_DAYS = 1000, 10_000, 3000
PLAIN_TABLE = "CREATE TABLE metrics (step INTEGER, name TEXT, value REAL, timestamp TEXT, PRIMARY KEY (step, name))"


def size_of(path: pathlib.Path) -> int:
    """Return the bytes of a file, or of all files in a directory."""
    return path.stat().st_size if path.is_file() else sum(file.stat().st_size for file in path.iterdir())


def report_sizes(key: str, title: str, run: pathlib.Path, num_points: int) -> None:
    """Report the database and the Parquet files of a run."""
    report(f"size.{key}.sqlite", f"SQLite, {title}", size_of(run / "metrics.sqlite") / num_points, "bytes/point")
    report(f"size.{key}.parquet", f"Parquet, {title}", size_of(run / "parquet") / num_points, "bytes/point")


def set_back(run: pathlib.Path, days: float) -> None:
    """Create an empty run that started `days` ago."""
    holter.Logger(run).close()
    manifest = json.loads((run / "run.json").read_text("utf-8"))
    manifest["started_micros"] -= int(days * 86_400e6)
    manifest["status"] = "interrupted"  # a completed run would not be resumed
    (run / "run.json").write_text(json.dumps(manifest), "utf-8")
    (run / "metrics.sqlite").unlink()  # recreated with the start time of the manifest


def fill_plain_table(path: pathlib.Path) -> int:
    """Fill the plain table with a tenth of the steps; return the number of points."""
    table, series_names = values(STEPS // 10, SERIES), names(SERIES)
    now = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())
    database = sqlite3.connect(path)
    database.execute(PLAIN_TABLE)
    for step, row in enumerate(table.tolist()):
        rows = [(step, name, value, now) for name, value in zip(series_names, row, strict=True)]
        database.executemany("INSERT INTO metrics VALUES (?, ?, ?, ?)", rows)
    database.commit()
    database.close()
    return table.size


def main() -> None:
    """Measure; `--without-days` skips the long run."""
    with scratch() as directory:
        record(directory / "seconds", SERIES, STEPS)
        title = f"{SERIES:,} series × {STEPS:,} steps at full speed"
        report_sizes("seconds", title, directory / "seconds", SERIES * STEPS)
        if "--without-days" not in sys.argv:
            set_back(directory / "days", days=3)
            record(directory / "days", SERIES, STEPS_OF_DAYS, flush_each_step=True)
            title = f"{SERIES:,} series × {STEPS_OF_DAYS:,} steps, three days after the start, a commit per step"
            report_sizes("days", title, directory / "days", SERIES * STEPS_OF_DAYS)
        num_points = fill_plain_table(directory / "plain.sqlite")
        num_bytes = size_of(directory / "plain.sqlite")
        report("size.plain", "plain SQLite table, names and times as text", num_bytes / num_points, "bytes/point")


main()
