"""`holter export`: every point exactly in each format, and no partial files."""

import csv
import io
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

import holter
import holter.formats.tfevents
from holter.formats import CHUNK_POINTS

COLUMNS = ["run", "rank", "name", "step", "value", "timestamp"]


def key(row) -> tuple:
    """Return a point in a form where NaN equals NaN."""
    return (row["run"], int(row["rank"]), row["name"], int(row["step"]), repr(float(row["value"])), row["timestamp"])


def points(*paths: Path) -> list[tuple]:
    """Return the points of the runs, read as Arrow, in the order of the export."""
    rows = []
    for path in paths:
        run = holter.open_run(path)
        members = [run, *(run.open_rank(rank) for rank in run.ranks if rank)]
        rows += [row for member in members for row in member.to_arrow().to_pylist()]
    for row in rows:
        row["timestamp"] = row["timestamp"].strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return [key(row) for row in rows]


def test_csv_round_trip(runs, invoke):
    result = invoke("export", "prose", "code", "-o", "points.csv")
    assert result.status == 0, result
    assert result.stdout == ""
    assert "points.csv: 8,414 points, " in result.stderr
    with Path("points.csv").open(newline="") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    assert reader.fieldnames == COLUMNS
    formulas = {row["name"] for row in rows if row["name"].startswith("'")}
    assert formulas == {"'=HYPERLINK(1)"}
    read = [key({**row, "name": row["name"].removeprefix("'")}) for row in rows]
    assert read == points(runs / "prose", runs / "code")


def test_jsonl_round_trip_to_the_standard_output(runs, invoke):
    result = invoke("export", "code", "--format", "jsonl", "-o", "-")
    assert result.status == 0
    assert result.stderr == ""

    def reject(word):
        raise AssertionError(f"{word} is not strict JSON")

    rows = [json.loads(line, parse_constant=reject) for line in result.stdout.splitlines()]
    assert all(list(row) == COLUMNS for row in rows)
    assert [key(row) for row in rows] == points(runs / "code")
    assert {row["value"] for row in rows if isinstance(row["value"], str)} == {"nan", "inf"}


def test_parquet_round_trip(runs, invoke):
    import pyarrow as pa
    import pyarrow.parquet

    assert invoke("export", "prose", "code", "-o", "points.parquet").status == 0
    table = pyarrow.parquet.read_table("points.parquet")
    own = holter.open_run(runs / "prose").to_arrow()
    assert table.schema.names == COLUMNS
    assert table.schema.types == own.schema.types
    assert not any(field.nullable for field in table.schema)
    both = pa.concat_tables([own, holter.open_run(runs / "code").to_arrow()])
    assert table.num_rows == both.num_rows
    for name in COLUMNS:
        assert repr(table[name].to_pylist()) == repr(both[name].to_pylist())


def test_patterns_select_series_and_each_point_is_written_once(runs, invoke):
    result = invoke("export", "prose", "--pattern", "train/*", "--pattern", "*loss", "--format", "csv", "-o", "-")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert {row["name"] for row in rows} == {"train/loss"}
    assert [int(row["step"]) for row in rows] == list(range(300))


def test_all_ranks_are_written(tmp_path, invoke):
    for rank in (0, 2):
        with holter.Logger("runs/many", rank=rank, journal_points=1 << 10) as logger:
            logger.log(rank, "loss", 0.1 + 0.2)
    result = invoke("export", "many", "--format", "csv", "-o", "-")
    rows = [(row["rank"], row["step"], row["value"]) for row in csv.DictReader(io.StringIO(result.stdout))]
    assert rows == [("0", "0", "0.30000000000000004"), ("2", "2", "0.30000000000000004")]
    alone = invoke("export", "runs/many/rank-00002", "--format", "csv", "-o", "-")
    assert len(alone.stdout.splitlines()) == 2


def test_long_series_with_distant_steps(tmp_path, invoke):
    """Catches a piece that is skipped or read twice where a series is written in pieces."""
    import numpy as np
    import pyarrow.parquet

    count = 2 * CHUNK_POINTS + 17
    with holter.Logger("runs/long", sinks=("sqlite",)) as logger:
        metric = logger.metric("loss")
        for step in range(count):
            metric.log(step * 3 - 1000, step / 7)
        metric.log(1 << 40, math.inf)
        metric.log(-(1 << 40), -0.0)
    assert invoke("export", "long", "-o", "long.parquet").status == 0
    table = pyarrow.parquet.read_table("long.parquet")
    run = holter.open_run("runs/long").series("loss")
    assert table.num_rows == count + 2
    assert np.array_equal(table["step"].to_numpy(), run.steps)
    assert np.array_equal(table["value"].to_numpy(), run.values)


def test_force_replaces_the_file_atomically(runs, invoke):
    Path("points.csv").write_text("old")
    assert invoke("export", "prose", "-o", "points.csv", "--force").status == 0
    assert Path("points.csv").read_text().startswith("run,rank,")
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["points.csv", "runs"]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_failure_leaves_no_partial_file(suffix, runs, invoke, monkeypatch):
    """Catches a partial file under its final name."""
    read = holter.Run.series

    def failing(self, name, *window):
        if name == "train/loss":
            raise holter.StoreError("the disk is gone")
        return read(self, name, *window)

    monkeypatch.setattr(holter.Run, "series", failing)
    Path(f"points.{suffix}").write_text("old")
    result = invoke("export", "prose", "-o", f"points.{suffix}", "--force")
    assert result.status == 1
    assert "the disk is gone" in result.stderr
    assert Path(f"points.{suffix}").read_text() == "old"
    assert sorted(path.name for path in Path.cwd().iterdir()) == [f"points.{suffix}", "runs"]


def test_a_closed_pipe_is_not_an_error(runs):
    """Catches a traceback, or `Exception ignored`, if the output goes to `head`."""
    command = [sys.executable, "-W", "error", "-m", "holter.cli", "export", "prose", "--format", "csv", "-o", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b"run,")
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 141


def test_a_long_export_shows_a_bar_on_a_terminal(tmp_path, monkeypatch, terminal):
    monkeypatch.chdir(tmp_path)
    import array

    with holter.Logger("runs/wide", sinks=("sqlite",)) as logger:
        metrics = logger.metrics([f"m{index}" for index in range(21)])
        for step in range(10_000):
            logger.log_array(step, metrics, array.array("d", [1.5]) * 21)
    session = terminal("export", "wide", "-o", "wide.csv")
    session.finish()
    assert session.process.returncode == 0, session.text
    assert re.search(r"points .* \d+/210000", session.plain)
    assert "wide.csv: 210,000 points" in session.plain
    assert Path("wide.csv").stat().st_size > 210_000 * 30


def test_event_files_round_trip_through_import(runs, invoke):
    """With the commands only."""
    assert invoke("export", "prose", "code", "--format", "tfevents", "-o", "logs").status == 0
    assert sorted(path.parent.name for path in Path("logs").glob("*/*tfevents*")) == ["code", "prose"]
    assert invoke("import", "logs", "--into", "again").status == 0
    for name in ("prose", "code"):
        found, expected = (holter.open_run(Path(folder, name)) for folder in ("again", runs))
        assert found.names() == expected.names()
        for series in expected.names():
            again, original = found.series(series), expected.series(series)
            assert repr((again.steps.tolist(), again.values.tolist())) == repr(
                (original.steps.tolist(), original.values.tolist())
            )


def test_event_files_of_one_run_and_some_series(runs, invoke):
    result = invoke("export", "prose", "--format", "tfevents", "-o", "a/b", "--pattern", "val/*", "--pattern", "*loss")
    assert result.status == 0
    assert re.fullmatch(r"a/b: 306 points, \d+\.\d kB\n", result.stderr)
    (path,) = Path("a/b").iterdir()
    assert {name for batch in holter.formats.tfevents.read(path) for name in batch.names} == {"train/loss", "val/ppl"}


def test_a_failure_leaves_no_event_files(runs, invoke, monkeypatch):
    read = holter.Run.series

    def failing(self, name, *window):
        if name == "train/loss" and self.name == "code":
            raise holter.StoreError("the disk is gone")
        return read(self, name, *window)

    monkeypatch.setattr(holter.Run, "series", failing)
    result = invoke("export", "prose", "code", "--format", "tfevents", "-o", "logs")
    assert result.status == 1
    assert "the disk is gone" in result.stderr
    assert [path.name for path in Path.cwd().iterdir()] == ["runs"]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["-o", "-"], 2, "event files cannot be written to standard output; pass a directory"),
        (["-o", "logs", "--force"], 2, "--force replaces files, not directories"),
        (["-o", "."], 1, ". is not a valid name for a new directory"),
        (["-o", "runs"], 1, "runs already exists and is not empty\nchoose another name"),
        (["-o", "runs/prose/run.json"], 1, "runs/prose/run.json is a file; expected a directory"),
        (
            ["runs/prose", "-o", "logs"],
            1,
            "runs/prose and runs/prose would both be exported to logs/prose\nexport them one by one",
        ),
    ],
)
def test_event_files_with_invalid_destination(arguments, status, message, runs, invoke):
    result = invoke("export", "prose", "--format", "tfevents", *arguments)
    assert result.status == status
    assert message in result.stderr
    assert not Path("logs").exists()
