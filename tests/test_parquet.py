"""The Parquet files: exactly the points of the database, for any reader, over many runs at once."""

import math
from pathlib import Path

import pytest
from run_files import Points, sqlite_points

import holter

ds = pytest.importorskip("pyarrow.dataset", reason="pyarrow is not installed")
pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")


def record(path: Path, *, seed: int) -> None:
    with holter.Logger(path, tags=("parquet",)) as logger:
        for step in range(500):
            logger.log(step, "train/loss", math.sin(step * seed))
            logger.log(-step, "falling", step)
            if step % 10 == 0:
                logger.log(step, "odd", (math.nan, math.inf, -math.inf)[step // 10 % 3])
        for step in range(0, 500, 3):
            logger.log(step, "train/loss", float(step))  # again, which replaces


def points(table: "pa.Table") -> Points:
    columns = (table.column(name).to_pylist() for name in ("name", "step", "value"))
    rows = list(zip(*columns, strict=True))
    found = {(name, step): value for name, step, value in rows}
    assert len(found) == len(rows), "a point is there twice"
    return found


def same(left: Points, right: Points) -> bool:
    def shown(points: Points) -> dict[tuple[str, int], str]:
        return {key: repr(value + 0.0) for key, value in points.items()}  # SQLite knows one zero only

    return shown(left) == shown(right)


def test_a_dataset_holds_exactly_the_points_of_the_database(run_dir: Path) -> None:
    """Catches points that only one of the two has, has twice, or has with another value, NaN and Inf included."""
    record(run_dir, seed=1)
    found = points(ds.dataset(run_dir / "parquet").to_table())
    expected = sqlite_points(run_dir)
    assert len(expected) == 500 + 500 + 50
    assert same(found, expected)


def test_many_runs_are_one_dataset(tmp_path: Path) -> None:
    """Catches files whose schemas differ from run to run, or whose rows do not say which run they are of."""
    for seed in (1, 2, 3):
        record(tmp_path / f"run-{seed}", seed=seed)
    files = sorted(tmp_path.glob("*/parquet/*.parquet"))
    table = ds.dataset(files).to_table(filter=ds.field("name") == "train/loss")
    assert sorted(set(table.column("run").to_pylist())) == ["run-1", "run-2", "run-3"]
    assert table.num_rows == 3 * 500


def test_the_schema_is_plain(run_dir: Path) -> None:
    """Catches Arrow's dictionary type for names, which would keep readers from skipping row groups."""
    record(run_dir, seed=1)
    schema = ds.dataset(run_dir / "parquet").schema
    assert [(field.name, str(field.type)) for field in schema] == [
        ("run", "string"),
        ("rank", "int32"),
        ("name", "string"),
        ("step", "int64"),
        ("value", "double"),
        ("timestamp", "timestamp[us, tz=UTC]"),
    ]


def test_duckdb_and_polars_read_the_same(run_dir: Path) -> None:
    """Catches encodings that one of the readers does not know, and statistics that make one skip NaN."""
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    polars = pytest.importorskip("polars", reason="polars is not installed")
    record(run_dir, seed=1)
    expected = sqlite_points(run_dir)
    pattern = str(run_dir / "parquet" / "*.parquet")
    rows = duckdb.execute("SELECT name, step, value FROM read_parquet(?)", [pattern]).fetchall()
    assert same({(name, step): value for name, step, value in rows}, expected)
    frame = polars.scan_parquet(pattern).select("name", "step", "value").collect()
    assert same({(name, step): value for name, step, value in frame.iter_rows()}, expected)
    (count,) = duckdb.execute("SELECT count(*) FROM read_parquet(?) WHERE isnan(value)", [pattern]).fetchone()
    assert count == sum(math.isnan(value) for value in expected.values())
