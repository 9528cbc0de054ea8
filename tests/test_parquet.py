"""The Parquet parts have exactly the points of the database, for every reader, also for many runs at once."""

import datetime
import math
import random
import shutil
from pathlib import Path

import duckdb
import polars
import pyarrow
import pyarrow.dataset
import pyarrow.parquet
import pytest

import holter
import run_files

COLUMNS = ["run", "rank", "name", "step", "value", "timestamp"]
NAMES = [f"grad_norm/blocks.{index}.M_init" for index in range(20)] + ["train/loss", 'it\'s "quoted"', "ä/ß"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs: the second has steps logged again, out of order, in several sessions, and a second rank."""
    root = tmp_path_factory.mktemp("runs")
    randomness = random.Random(0)
    special = [math.nan, math.inf, -math.inf, 0.0, 5e-324, 1.7976931348623157e308]
    with holter.Logger(root / "run-1", journal_points=1 << 12) as logger:
        for step in range(500):
            logger.log_many(step, {name: randomness.gauss(0, 1) for name in NAMES})
            logger.log(step, "special", special[step % len(special)])
    for attempt in range(3):
        with holter.Logger(root / "run-2", journal_points=1 << 10, name="the second run", resume="allow") as logger:
            for _ in range(3_000):
                logger.log(randomness.randrange(-500, 500), randomness.choice(NAMES), attempt + randomness.random())
            logger.log(attempt, "special", special[attempt])
    with holter.Logger(root / "run-2", rank=1, journal_points=1 << 10, name="the second run") as logger:
        logger.log(0, "train/loss", 1.0)
    return root


def by_key(rows: list[dict[str, object]]) -> run_files.Points:
    points = {(row["name"], row["step"]): row["value"] for row in rows}
    assert len(points) == len(rows), "a (name, step) has two rows"
    return points


@pytest.mark.parametrize("run", ["run-1", "run-2"])
def test_dataset_equals_database(runs: Path, run: str) -> None:
    """Catches a missing, repeated or different point in one of the two, including NaN and infinities."""
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
        assert row["timestamp"] == moment


def test_schema_has_six_required_columns_with_field_ids(runs: Path) -> None:
    """Catches types that break other readers, such as Arrow's dictionary type for names, and missing field ids."""
    expected = pyarrow.schema(
        [
            pyarrow.field("run", pyarrow.string(), nullable=False, metadata={"PARQUET:field_id": "1"}),
            pyarrow.field("rank", pyarrow.int32(), nullable=False, metadata={"PARQUET:field_id": "2"}),
            pyarrow.field("name", pyarrow.string(), nullable=False, metadata={"PARQUET:field_id": "3"}),
            pyarrow.field("step", pyarrow.int64(), nullable=False, metadata={"PARQUET:field_id": "4"}),
            pyarrow.field("value", pyarrow.float64(), nullable=False, metadata={"PARQUET:field_id": "5"}),
            pyarrow.field(
                "timestamp", pyarrow.timestamp("us", "UTC"), nullable=False, metadata={"PARQUET:field_id": "6"}
            ),
        ]
    )
    for path in runs.rglob("*.parquet"):
        file = pyarrow.parquet.ParquetFile(path)
        assert file.schema_arrow.remove_metadata().equals(expected, check_metadata=True)
        assert b"ARROW:schema" not in (file.metadata.metadata or {})
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group, columns=["name", "step"]).to_pylist()
            # As bytes, which is how readers compare them with statistics.
            keys = [(row["name"].encode(), row["step"]) for row in rows]
            assert keys == sorted(keys)
            statistics = file.metadata.row_group(group).column(2).statistics
            assert statistics.min == keys[0][0].decode()
            assert statistics.max == keys[-1][0].decode()


def test_runs_and_ranks_are_read_together(runs: Path) -> None:
    """Catches parts of several runs and ranks that a reader cannot distinguish or combine."""
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


def test_every_reader_finds_one_series(runs: Path) -> None:
    """Catches statistics that make a reader skip rows, above all NaN and infinities."""
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


def test_closed_run_has_one_part(runs: Path) -> None:
    """Catches parts that are not compacted, and unfinished files that are left."""
    for folder in runs.rglob("parquet"):
        assert len(list(folder.iterdir())) == 1


def test_daft_reads_parts_and_iceberg_tables_of_them(runs: Path, tmp_path: Path) -> None:
    """Catches files that Daft rejects in an Iceberg table, which needs field ids."""
    daft = pytest.importorskip("daft", reason="daft is not installed (153 MB)")
    files = sorted(str(path) for path in runs.rglob("*.parquet"))
    expected = polars.read_parquet(files)
    table = daft.read_parquet(files)
    assert table.column_names == COLUMNS
    assert table.count_rows() == expected.height
    loss = table.where(daft.col("name") == "train/loss").sort(["run", "rank", "step"]).to_pydict()
    rows = expected.filter(polars.col("name") == "train/loss").sort("run", "rank", "step")
    assert (loss["step"], loss["value"]) == (rows["step"].to_list(), rows["value"].to_list())

    catalogs = pytest.importorskip("pyiceberg.catalog.sql", reason="pyiceberg is not installed")
    catalog = catalogs.SqlCatalog("local", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}")
    catalog.create_namespace("holter")
    iceberg = catalog.create_table("holter.points", pyarrow.parquet.read_schema(files[0]))
    iceberg.add_files(files)
    assert daft.read_iceberg(iceberg).count_rows() == expected.height


def test_spark_reads_parts(runs: Path) -> None:
    """Catches a type or an encoding that Spark does not support."""
    sql = pytest.importorskip("pyspark.sql", reason="pyspark is not installed (491 MB)")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    files = sorted(str(path) for path in runs.rglob("*.parquet"))
    expected = polars.read_parquet(files)
    session = sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    try:
        table = session.read.parquet(*files)
        assert table.columns == COLUMNS
        assert table.count() == expected.height
        loss = table.filter("name = 'train/loss'").orderBy("run", "rank", "step").collect()
    finally:
        session.stop()
    rows = expected.filter(polars.col("name") == "train/loss").sort("run", "rank", "step")
    assert [(row.step, row.value) for row in loss] == list(rows.select("step", "value").iter_rows())
