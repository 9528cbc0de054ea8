"""The Parquet parts contain exactly the points of the database, for every reader; many runs can be read at once."""

import datetime
import math
import random
from pathlib import Path

import duckdb
import polars
import pyarrow
import pyarrow.dataset
import pyarrow.parquet
import pytest

import holter
import run_files

NAMES = [f"grad_norm/blocks.{index}.M_init" for index in range(20)] + ["train/loss", 'it\'s "quoted"', "ä/ß"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs; the second has repeated steps, out of order and from several attempts, and a second rank."""
    root = tmp_path_factory.mktemp("runs")
    randomness = random.Random(0)
    special = [math.nan, math.inf, -math.inf, 0.0, 5e-324, 1.7976931348623157e308]
    with holter.Logger(root / "run-1", journal_points=1 << 12) as logger:
        for step in range(500):
            logger.log_many(step, {name: randomness.gauss(0, 1) for name in NAMES})
            logger.log(step, "special", special[step % len(special)])
    for attempt in range(3):
        with holter.Logger(root / "run-2", resume="allow", journal_points=1 << 10, name="the second run") as logger:
            for _ in range(3_000):
                logger.log(randomness.randrange(-500, 500), randomness.choice(NAMES), attempt + randomness.random())
            logger.log(attempt, "special", special[attempt])
    with holter.Logger(root / "run-2", rank=1, journal_points=1 << 10, name="the second run") as logger:
        logger.log(0, "train/loss", 1.0)
    return root


def by_key(rows: list[dict[str, object]]) -> run_files.Points:
    points = {(row["name"], row["step"]): row["value"] for row in rows}
    assert len(points) == len(rows), "duplicate (name, step)"
    return points


@pytest.mark.parametrize("run", ["run-1", "run-2"])
def test_the_dataset_and_the_database_have_the_same_points(runs: Path, run: str) -> None:
    table = pyarrow.dataset.dataset(runs / run / "parquet").to_table()
    found = by_key(table.to_pylist())
    run_files.assert_same_points(found, run_files.sqlite_points(runs / run))
    assert any(math.isnan(value) for value in found.values())
    assert math.inf in found.values()
    connection = run_files.database(runs / run)
    texts = {(name, step): text for name, step, text in connection.execute("SELECT name, step, timestamp FROM metrics")}
    connection.close()
    for row in table.to_pylist():
        moment = datetime.datetime.strptime(texts[row["name"], row["step"]], "%Y-%m-%dT%H:%M:%S.%f%z")
        # The text in the database is rounded to milliseconds.
        assert abs(row["timestamp"] - moment) <= datetime.timedelta(milliseconds=0.5)


def test_the_schema_has_plain_types_and_no_nulls(runs: Path) -> None:
    """Some readers do not support others, such as Arrow's dictionary type."""
    expected = pyarrow.schema(
        [
            pyarrow.field("run", pyarrow.string(), nullable=False),
            pyarrow.field("rank", pyarrow.int32(), nullable=False),
            pyarrow.field("name", pyarrow.string(), nullable=False),
            pyarrow.field("step", pyarrow.int64(), nullable=False),
            pyarrow.field("value", pyarrow.float64(), nullable=False),
            pyarrow.field("timestamp", pyarrow.timestamp("us", "UTC"), nullable=False),
        ]
    )
    for path in runs.rglob("*.parquet"):
        file = pyarrow.parquet.ParquetFile(path)
        assert file.schema_arrow.remove_metadata() == expected
        assert b"ARROW:schema" not in (file.metadata.metadata or {})
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group, columns=["name", "step"]).to_pylist()
            # Sorted as bytes, since readers compare statistics as bytes.
            keys = [(row["name"].encode(), row["step"]) for row in rows]
            assert keys == sorted(keys)
            statistics = file.metadata.row_group(group).column(2).statistics
            assert statistics.min == keys[0][0].decode()
            assert statistics.max == keys[-1][0].decode()


def test_every_reader_reads_many_runs_at_once_and_distinguishes_them(runs: Path) -> None:
    counts = {("run-1", 0): 0, ("the second run", 0): 0, ("the second run", 1): 0}
    for (run, rank), path in zip(counts, (runs / "run-1", runs / "run-2", runs / "run-2" / "rank-00001"), strict=True):
        counts[run, rank] = len(run_files.sqlite_points(path))
    pattern = f"{runs}/**/*.parquet"
    by_duckdb = duckdb.sql(f"SELECT run, rank, count(*) FROM '{pattern}' GROUP BY ALL").fetchall()
    assert {(run, rank): count for run, rank, count in by_duckdb} == counts
    by_polars = polars.scan_parquet(pattern).group_by("run", "rank").len().collect().rows()
    assert {(run, rank): count for run, rank, count in by_polars} == counts
    files = [str(path) for path in runs.rglob("*.parquet")]
    table = pyarrow.dataset.dataset(files).to_table(columns=["run", "rank"])
    by_arrow = table.group_by(["run", "rank"]).aggregate([([], "count_all")]).to_pylist()
    assert {(row["run"], row["rank"]): row["count_all"] for row in by_arrow} == counts


def test_every_reader_finds_all_points_of_a_series(runs: Path) -> None:
    """Wrong statistics, especially for NaN and infinities, would make a reader skip row groups."""
    path = runs / "run-1" / "parquet"
    for name in ("special", "train/loss", 'it\'s "quoted"', "ä/ß"):
        expected = {
            step: value for (other, step), value in run_files.sqlite_points(runs / "run-1").items() if other == name
        }
        answers = [
            pyarrow.dataset.dataset(path).to_table(filter=pyarrow.dataset.field("name") == name).to_pylist(),
            duckdb.sql(f"SELECT * FROM '{path}/*.parquet' WHERE name = $name", params={"name": name}).pl().to_dicts(),
            polars.scan_parquet(f"{path}/*.parquet").filter(polars.col("name") == name).collect().to_dicts(),
        ]
        for rows in answers:
            found = {row["step"]: row["value"] for row in rows}
            assert found.keys() == expected.keys()
            assert all(run_files.same(found[step], expected[step]) for step in expected)
    special = f"SELECT count(*) FROM '{path}/*.parquet' WHERE name = 'special' AND"
    assert duckdb.sql(f"{special} isnan(value)").fetchall() == [(84,)]
    assert duckdb.sql(f"{special} value = 'inf'::DOUBLE").fetchall() == [(84,)]
    assert duckdb.sql(f"{special} value < -1e300").fetchall() == [(83,)]
    big = pyarrow.dataset.field("value") > 1e300
    assert pyarrow.dataset.dataset(path).to_table(filter=big).num_rows == 84 + 83


def test_a_closed_run_has_one_part_and_no_other_files(runs: Path) -> None:
    for folder in runs.rglob("parquet"):
        assert len(list(folder.iterdir())) == 1
