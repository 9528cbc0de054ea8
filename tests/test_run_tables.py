"""`Run` returns series, facts and tables for numpy, Arrow, pandas, Polars and DuckDB."""

import datetime as dt
import json
import math
import os
import subprocess
import sys
import threading
import time

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import holter


@pytest.fixture
def small(run_dir):
    with holter.Logger(run_dir, name="small", config={"lr": 0.1, "seed": 1 << 70}, tags=["a", "b"]) as logger:
        for step in range(100):
            logger.log(step, "train/loss", step / 10)
            logger.log(step, "grad_norm/w", math.inf if step == 50 else 1.0)
        logger.log(7, "val/ppl", 3.0)
    return holter.open_run(run_dir)


def test_series_are_numpy_columns(small):
    series = small.series("train/loss")
    values = series.values  # noqa: PD011
    assert (series.steps.dtype, values.dtype, series.timestamps.dtype) == ("int64", "float64", "datetime64[us]")
    assert len(series) == 100
    assert series.last == 9.9
    now = dt.datetime.now(dt.timezone.utc).replace(tzinfo=None)
    assert abs(series.timestamps[-1].item() - now) < dt.timedelta(minutes=1)
    values[0] = 5  # the array is writable
    assert repr(series) == "<Series 'train/loss': 100 points, steps 0 to 99, last 9.9>"
    empty = small.series("train/loss", 5, 5)
    assert (len(empty), empty.last, str(empty.to_pandas().dtype)) == (0, None, "float64")
    assert "no points" in repr(empty)


@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [
        (None, None, range(100)),
        (90, None, range(90, 100)),
        (None, 3, range(3)),
        (np.int32(5), np.uint8(8), range(5, 8)),
        (-(1 << 80), 1 << 80, range(100)),
        (1 << 63, None, []),
        (None, -(1 << 63), []),
        (None, -(1 << 90), []),
        (50, 40, []),
    ],
)
def test_step_ranges_work_like_python_slices(small, start, stop, expected):
    assert small.series("train/loss", start, stop).steps.tolist() == list(expected)
    assert small.downsample("train/loss", 1000, start, stop).steps.tolist() == list(expected)


def test_an_unknown_series_raises_key_error_with_a_hint(small):
    with pytest.raises(KeyError, match="did you mean 'train/loss'"):
        small.series("train/los")
    with pytest.raises(KeyError, match="names\\(\\) lists its 3"):
        small.downsample("zzz")
    with pytest.raises(KeyError):
        small.series("")
    with pytest.raises(TypeError):
        small.series(3)
    with pytest.raises(TypeError):
        small.series("train/loss", 1.5)


def test_patterns_select_names(small):
    assert small.names() == ["grad_norm/w", "train/loss", "val/ppl"]
    assert small.names("*l*") == ["train/loss", "val/ppl"]
    assert small.names("[!g]*") == ["train/loss", "val/ppl"]
    assert small.names("train/loss") == ["train/loss"]
    assert small.names("nothing") == []
    assert [facts.name for facts in small.facts("val/*")] == ["val/ppl"]


def test_facts_of_a_series(small):
    assert small.facts("grad_norm/*") == [holter.SeriesFacts("grad_norm/w", 100, 1, 0, 99, 1.0, 1.0, 0, 1.0, 0)]


def test_best_is_the_extreme_in_the_direction_of_the_name(run_dir):
    with holter.Logger(run_dir) as logger:
        for step, value in enumerate([2.0, math.nan, 1.0, 3.0, math.inf, 1.0]):
            logger.log_many(step, {"val/loss": value, "val/acc": value, "lr": value})
        logger.log(0, "empty/loss", math.nan)
    empty, rate, accuracy, loss = holter.open_run(run_dir).facts()
    for facts in (accuracy, rate, loss):
        assert (facts.min, facts.min_step, facts.max, facts.max_step) == (1.0, 2, 3.0, 3)
    assert (loss.best, loss.best_step) == (1.0, 2)
    assert (accuracy.best, accuracy.best_step) == (3.0, 3)
    assert (rate.best, rate.best_step) == (None, None)
    assert (empty.min, empty.max, empty.best, empty.best_step) == (None, None, None, None)


def test_metadata_of_a_run(small, run_dir):
    assert (small.name, small.path, small.rank, small.ranks) == ("small", run_dir, 0, [0])
    assert small.config == {"lr": 0.1, "seed": 1 << 70}
    assert small.tags == ("a", "b")
    assert small.id == json.loads((run_dir / "run.json").read_text())["id"]
    assert abs(small.created - dt.datetime.now(dt.timezone.utc)) < dt.timedelta(minutes=1)
    assert repr(small) == f"<Run 'small' at '{run_dir}': finished>"
    (run_dir / "run.json").unlink()
    assert "unreadable" in repr(small)


def test_a_table_can_be_read_repeatedly_by_arrow_readers(small):
    points = small.table("*l*")
    schema = pa.schema(
        [
            pa.field("run", pa.string(), nullable=False),
            pa.field("rank", pa.int32(), nullable=False),
            pa.field("name", pa.string(), nullable=False),
            pa.field("step", pa.int64(), nullable=False),
            pa.field("value", pa.float64(), nullable=False),
            pa.field("timestamp", pa.timestamp("us", "UTC"), nullable=False),
        ]
    )
    for _ in range(2):
        arrow = pa.table(points)
        assert arrow.schema == schema
        assert arrow.num_rows == 101
        assert arrow["run"].unique().to_pylist() == ["small"]
    assert pl.DataFrame(points).height == 101
    assert duckdb.sql("SELECT name, count(*) FROM points GROUP BY name ORDER BY name").fetchall() == [
        ("train/loss", 100),
        ("val/ppl", 1),
    ]
    assert small.to_arrow("val/*").to_pylist()[0]["value"] == 3.0
    assert pa.table(small.table("nothing")).schema == schema
    assert "*l*" in repr(points)


def test_a_stream_can_be_abandoned(small):
    table = small.table()
    capsule = table.__arrow_c_stream__()
    assert "arrow_array_stream" in repr(capsule)
    del capsule
    with pa.RecordBatchReader.from_stream(table) as reader:
        assert reader.read_next_batch().num_rows == 201
    assert pa.table(table).num_rows == 201


def test_a_stream_names_the_damaged_file(small, run_dir):
    table = small.table()
    stream = pa.RecordBatchReader.from_stream(table)
    (run_dir / "metrics.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(OSError, match=r"metrics\.sqlite is damaged: file is not a database"):
        stream.read_all()
    with pytest.raises(holter.StoreError, match=r"metrics\.sqlite is damaged: file is not a database"):
        small.names()


def test_pandas_frames_are_long_or_wide(small):
    frame = small.to_pandas()
    assert [str(kind) for kind in frame.dtypes] == ["int32", "category", "int64", "float64", "datetime64[us, UTC]"]
    assert frame.columns.tolist() == ["rank", "name", "step", "value", "timestamp"]
    assert len(frame) == 201
    assert frame[frame["name"] == "val/ppl"]["value"].tolist() == [3.0]
    wide = small.to_pandas("*l*", wide=True)
    assert wide.columns.tolist() == ["train/loss", "val/ppl"]
    assert wide.index.name == "step"
    assert wide["val/ppl"].dropna().to_dict() == {7: 3.0}
    assert wide["train/loss"].tolist() == [step / 10 for step in range(100)]
    assert small.to_pandas("nothing").dtypes.astype(str).tolist()[2:] == ["int64", "float64", "datetime64[us, UTC]"]
    assert small.to_pandas("nothing", wide=True).empty
    series = small.series("val/ppl").to_pandas()
    assert (series.name, series.index.name, series.to_dict()) == ("val/ppl", "step", {7: 3.0})
    assert isinstance(series, pd.Series)


@pytest.mark.parametrize(("module", "extra"), [("pandas", "holter\\[pandas\\]"), ("pyarrow", "holter\\[arrow\\]")])
def test_a_missing_library_is_named_with_its_extra(small, monkeypatch, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=f"{module}; install it with: pip install '{extra}'"):
        small.to_pandas() if module == "pandas" else small.to_arrow()


READS = {
    "names": lambda run: run.names(),
    "facts": lambda run: run.facts(),
    "series": lambda run: run.series("train/loss"),
    "downsample": lambda run: run.downsample("train/loss", 10),
    "table": lambda run: pa.table(run.table()),
    "status": lambda run: run.status,
    "manifest": lambda run: run.manifest,
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_reading_releases_the_interpreter_lock(small, read):
    turns, stop = [], threading.Event()

    def take_turns():
        while not stop.is_set():
            turns.append(None)
            time.sleep(0)

    read(small)  # completes its imports
    before = sys.getswitchinterval()
    thread = threading.Thread(target=take_turns)
    try:
        sys.setswitchinterval(1000)  # from now on a thread runs until it releases the interpreter lock
        thread.start()
        turns_before = len(turns)
        deadline = time.monotonic() + 60
        while len(turns) == turns_before and time.monotonic() < deadline:
            read(small)
        num_turns = len(turns) - turns_before
    finally:
        sys.setswitchinterval(before)
        stop.set()
        thread.join()
    assert num_turns > 0


def test_reading_imports_only_what_it_needs(small):
    script = """
import sys, holter
heavy = lambda: sorted({"numpy", "pandas", "pyarrow"} & sys.modules.keys())
run = holter.open_run(sys.argv[1])
run.names(), run.facts(), run.config, run.status, repr(run), holter.list_runs(sys.argv[1])
print(heavy())
run.series("train/loss")
print(heavy())
"""
    command = [sys.executable, "-c", script, os.fspath(small.path)]
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=240).stdout
    assert output.splitlines() == ["[]", "['numpy']"]
