"""Every code block of docs/recipes.md and docs/scale.md runs, and every engine computes the same band."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import holter
import recipes
from recipes import COLUMNS, RUNS, Block

ENGINES = {"DuckDB": "duckdb", "Polars": "polars", "pandas": "pandas", "pyarrow": "pyarrow", "Spark": "pyspark"}
BLOCKS = [*recipes.blocks("recipes.md"), *recipes.blocks("scale.md")]
SPARK_TIMEOUT_SECS = 280
"""Three Java virtual machines have to start, on a machine that may be busy."""

PRINT_RESULT = """
import json, os
executors = spark.sparkContext.parallelize(range(16), 16).map(lambda _: os.getppid()).distinct().collect()
print(json.dumps({"band": [list(row) for row in band.collect()], "executors": executors, "driver": os.getpid()}))
spark.stop()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the runs in `runs`."""
    folder = tmp_path_factory.mktemp("recipes")
    recipes.record(folder / "runs")
    return folder


@pytest.fixture(scope="module")
def expected(folder):
    return recipes.expected_band(folder / "runs")


def assert_same_band(found, expected):
    assert [row["step"] for row in found] == [row["step"] for row in expected]
    for column in COLUMNS:
        values, wanted = ([row[column] for row in rows] for rows in (found, expected))
        np.testing.assert_allclose(values, wanted, rtol=1e-12, atol=0, err_msg=column)


def test_the_runs_have_different_lengths_and_many_steps(folder, expected):
    assert len(holter.list_runs(folder / "runs")) == RUNS >= 20
    assert {row["count"] for row in expected} >= {1, 2, RUNS - 2}
    assert len(expected) > 500


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "python"], ids=str)
def test_python_blocks_run(block: Block, folder, expected, monkeypatch):
    if block.section == "Spark":
        found = run_in_spark(block, folder)
        assert len(set(found["executors"])) == 2, "expected two executors in different processes"
        assert_same_band(recipes.rows_of(found["band"]), expected)
        return
    pytest.importorskip(ENGINES.get(block.section, "duckdb"))
    monkeypatch.chdir(folder)
    names: dict = {}
    exec(compile(block.code, str(block.page), "exec"), names)
    CHECKS.get(str(block), check_band)(names, expected)


def check_band(names, expected):
    assert_same_band(recipes.rows_of(names["band"]), expected)


def check_rates(names, expected):
    assert [row[:2] for row in names["by_rate"]] == [(3e-4, RUNS // 2), (1e-3, RUNS // 2)]


def check_holter(names, expected):
    """Check the band without an engine, which has no minimum and maximum."""
    found = [row for row in names["band"] if row[-1] > 0]
    np.testing.assert_allclose(found, [[row[key] for key in ("step", "mean", "std", "count")] for row in expected])


def check_runs(names, expected):
    chosen = [run for run in holter.list_runs("runs") if run.config["lr"] == 3e-4]
    assert sorted(names["chosen"]) == [(run.path.name,) for run in chosen]
    assert names["count"] == [(sum(len(run.series("train/loss")) for run in chosen),)]


def check_files(names, expected):
    points = names["points"].fetchall()
    found = [run.series("train/loss", 50, 100, rank=rank) for run in holter.list_runs("runs") for rank in run.ranks]
    assert len(points) == sum(len(series) for series in found) > 500


def check_means(names, expected):
    """Check the mean of each bucket of 64 steps."""
    for first_step, mean, least, most in names["means"]:
        rows = [row for row in expected if row["step"] // 64 * 64 == first_step]
        total = sum(row["mean"] * row["count"] for row in rows) / sum(row["count"] for row in rows)
        assert mean == pytest.approx(total, rel=1e-12)
        assert (least, most) == (min(row["min"] for row in rows), max(row["max"] for row in rows))
    assert len(names["means"]) == -(-(expected[-1]["step"] + 1) // 64)


CHECKS = {
    "recipes: DuckDB 1": check_rates,
    "recipes: Live runs 1": check_holter,
    "scale: A table of runs 0": check_runs,
    "scale: A table of runs 1": check_files,
    "scale: Fewer points 0": check_means,
}
"""Checks of the blocks that do not compute the band."""


def run_in_spark(block: Block, folder: Path) -> dict:
    """Run the block in Spark's local cluster mode in another process; return the printed result."""
    if importlib.util.find_spec("pyspark") is None:
        pytest.skip("pyspark is not installed")
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        pytest.skip("Spark needs Java")
    lean = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraJavaOptions": lean,
        "spark.executor.extraJavaOptions": lean,
        "spark.executor.memory": "512m",
        "spark.sql.shuffle.partitions": "2",
        "spark.scheduler.minRegisteredResourcesRatio": "1.0",  # start when both workers have registered
        "spark.scheduler.maxRegisteredResourcesWaitingTime": "120s",
    }
    options = [word for setting in settings.items() for word in ("--conf", f"'{'='.join(setting)}'")]
    arguments = ["--master", "'local-cluster[2,1,1024]'", *options, "pyspark-shell"]
    environment = {
        **os.environ,
        "PYSPARK_SUBMIT_ARGS": " ".join(arguments),
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_DIRS": str(folder / "spark"),
        "SPARK_WORKER_DIR": str(folder / "spark-work"),
    }
    done = subprocess.run(
        [sys.executable, "-c", block.code + PRINT_RESULT],
        check=False,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SPARK_TIMEOUT_SECS,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "sh"], ids=str)
def test_shell_blocks_run(block: Block, folder):
    if shutil.which("sqlite3") is None:
        pytest.skip("the sqlite3 shell is not installed")
    done = subprocess.run(["sh", "-euc", block.code], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    lines = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    lasts = {f"runs/{run.path.name}/": run.series("train/loss") for run in holter.list_runs(folder / "runs")}
    assert lines.keys() == lasts.keys()
    for path, series in lasts.items():
        step, value = lines[path].split("|")
        assert int(step) == series.steps[-1]
        assert float(value or "nan") == pytest.approx(series.last, nan_ok=True)


def test_every_block_has_a_test():
    assert {block.language for block in BLOCKS} == {"python", "sh"}
    assert {*ENGINES, "SQLite", "Live runs"} == {block.section for block in BLOCKS if block.page.stem == "recipes"}
    assert CHECKS.keys() <= {str(block) for block in BLOCKS}
