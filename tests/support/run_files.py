"""Reads a run's files without Holter, as other programs do: with sqlite3, pyarrow and json."""

import json
import math
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rollup_rows import assert_rollups_match_points

Points = dict[tuple[str, int], float]
"""The value by name and step."""


def database(run: Path) -> sqlite3.Connection:
    """Open the existing database of a run."""
    return sqlite3.connect(f"file:{run / 'metrics.sqlite'}?mode=rw", uri=True, timeout=10, isolation_level=None)


def sqlite_points(run: Path) -> Points:
    connection = database(run)
    try:
        rows = connection.execute("SELECT name, step, value FROM metrics").fetchall()
    finally:
        connection.close()
    points = {(name, step): math.nan if value is None else value for name, step, value in rows}
    assert len(points) == len(rows), "the view `metrics` has two rows for one (name, step)"
    return points


def assert_sqlite_finds_no_damage(run: Path) -> None:
    connection = database(run)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    finally:
        connection.close()


def assert_database_is_intact(run: Path) -> None:
    """Check that SQLite finds no damage, and that the tables `series` and `rollups` match the points."""
    assert_sqlite_finds_no_damage(run)
    connection = database(run)
    try:
        cached = connection.execute(
            """SELECT id, count, nonfinite_count, first_step, last_step, min_value, max_value
               FROM series ORDER BY id"""
        ).fetchall()
        # NaN is NULL in the database; the bound is the largest finite number.
        counted = connection.execute(
            """SELECT series_id, count(*), sum(value IS NULL OR abs(value) > 1.7976931348623157e308),
                      min(step), max(step), min(value) FILTER (WHERE abs(value) <= 1.7976931348623157e308),
                      max(value) FILTER (WHERE abs(value) <= 1.7976931348623157e308)
               FROM points GROUP BY series_id ORDER BY series_id"""
        ).fetchall()
        assert cached == counted
        for extreme in ("min", "max"):
            misplaced = connection.execute(
                f"""SELECT name FROM series WHERE {extreme}_step IS NOT (
                        SELECT min(step) FROM points WHERE series_id = series.id AND value = {extreme}_value)"""
            ).fetchall()
            assert misplaced == []
        stale = connection.execute(
            """SELECT series.name FROM series JOIN points ON series_id = series.id AND step = last_step
               WHERE last_value IS NOT value"""
        ).fetchall()
        assert stale == []
        assert_rollups_match_points(connection)
    finally:
        connection.close()


def parquet_points(run: Path) -> Points:
    """Return the points of all parts; for a point in several parts, that of the newest, as readers of parts do."""
    import pyarrow.parquet

    points: Points = {}
    for path in sorted((run / "parquet").glob("*.parquet")):
        table = pyarrow.parquet.read_table(path, columns=["name", "step", "value"])
        columns = (table.column(name).to_pylist() for name in ("name", "step", "value"))
        rows = list(zip(*columns, strict=True))
        points.update({(name, step): value for name, step, value in rows})
    return points


def assert_parts_are_readable(run: Path) -> int:
    """Check that every `*.parquet` file can be read completely at any moment. Return the number of files."""
    import pyarrow.parquet

    count = 0
    for path in (run / "parquet").glob("*.parquet"):
        try:
            pyarrow.parquet.read_table(path)
            count += 1
        except FileNotFoundError:
            continue  # merged into another part after the folder was listed
    return count


def manifest(run: Path) -> dict[str, Any]:
    parsed = json.loads((run / "run.json").read_text("utf-8"))
    assert isinstance(parsed, dict)
    return parsed


def summary_lines(run: Path) -> list[dict[str, Any]]:
    def reject(constant: str) -> float:
        raise AssertionError(f"{constant} is not strict JSON")

    text = (run / "summary.jsonl").read_text("utf-8")
    assert text == "" or text.endswith("\n"), "incomplete line"
    return [json.loads(line, parse_constant=reject) for line in text.splitlines()]


def summary_points(run: Path) -> Points:
    """Return the summary's values; a later line for the same step wins."""
    constants = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
    reserved = ("step", "format_version", "nonfinite")
    reserved = ("step", "format_version", "nonfinite")
    points: Points = {}
    for number, line in enumerate(summary_lines(run)):
        assert line.pop("format_version", None) == (1 if number == 0 else None)
        nonfinite = line.pop("nonfinite", {})
        step = line.pop("step")
        for key, value in line.items():
            name = key[1:] if key.lstrip("/") in reserved else key
            points[name, step] = constants[nonfinite[key]] if value is None else value
    return points


def same(left: float, right: float) -> bool:
    """Whether two values are equal; NaN equals NaN, and the sign of zero, which SQLite does not store, is ignored."""
    return left == right or (math.isnan(left) and math.isnan(right))


def assert_same_points(found: Points, expected: Points) -> None:
    lost = [key for key in expected if key not in found]
    invented = [key for key in found if key not in expected]
    assert not lost, f"{len(lost)} of {len(expected)} points lost, such as {lost[:5]}"
    assert not invented, f"{len(invented)} points invented, such as {invented[:5]}"
    differing = [(key, found[key], expected[key]) for key in expected if not same(found[key], expected[key])]
    assert not differing, f"{len(differing)} points differ (found, expected), such as {differing[:5]}"


def as_points(rows: Iterable[tuple[str, int, float]]) -> Points:
    """Return the rows as points; a later row wins."""
    return {(name, step): value for name, step, value in rows}
