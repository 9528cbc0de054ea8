"""The points that were logged are read back: while a run is recorded, after it was closed, and after a crash."""

import math
import random
import signal
import subprocess
import sys
import threading

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest

import holter

SINKS = [("sqlite",), ("sqlite", "parquet", "summary"), ("parquet",)]
VALUES = [0.5, -1.0, math.nan, math.inf, -math.inf, 1e300, 5e-324, 0.0]


class Model:
    """The expected points, in a dict."""

    def __init__(self, logger):
        self.logger = logger
        self.points = {}

    def log(self, step, name, value):
        self.logger.log(step, name, value)
        self.points.setdefault(name, {})[step] = value

    def check(self, run):
        assert run.names() == sorted(self.points)
        for name, points in self.points.items():
            series = run.series(name)
            assert series.steps.tolist() == sorted(points)
            np.testing.assert_array_equal(series.values, [points[step] for step in sorted(points)])
        facts = [(f.name, f.count, f.nonfinite_count, f.first_step, f.last_step) for f in run.facts()]
        assert facts == [
            (name, len(p), sum(not math.isfinite(v) for v in p.values()), min(p), max(p))
            for name, p in sorted(self.points.items())
        ]
        rows = [(name, step) for name, points in sorted(self.points.items()) for step in sorted(points)]
        table = pa.table(run.table())
        assert list(zip(table["name"].to_pylist(), table["step"].to_pylist(), strict=True)) == rows
        np.testing.assert_array_equal(table["value"].to_numpy(), [self.points[name][step] for name, step in rows])


@pytest.fixture(params=SINKS, ids="+".join)
def model(request, run_dir):
    with holter.Logger(run_dir, sinks=request.param, journal_points=1 << 14) as logger:
        yield Model(logger)


def files(path):
    return sorted((file.relative_to(path), file.stat().st_size) for file in path.rglob("*") if not file.is_dir())


def test_points_are_the_same_in_every_state_of_a_run(model, run_dir):
    run = holter.open_run(run_dir)
    model.check(run)
    rng = random.Random(0)
    for step in range(300):
        model.log(step, "train/loss", 1 / (step + 1))
        model.log(-step, "ä 'odd' \"name\"", rng.choice(VALUES))
    model.log((1 << 63) - 1, "edge", 1.0)
    model.log(-(1 << 63), "edge", 2.0)
    model.check(run)
    model.logger.flush()
    model.check(run)
    for step in range(250, 320):
        model.log(step, "train/loss", rng.choice(VALUES))
    model.log(0, "edge", math.nan)
    model.check(run)
    assert (run.status, run.is_live) == ("running", True)
    model.logger.close()
    before = files(run_dir)
    model.check(run)
    model.check(holter.open_run(run_dir))
    assert files(run_dir) == before
    assert (run.status, run.is_live) == ("finished", False)


def test_a_resumed_run_is_read_as_one_run(model, run_dir):
    run = holter.open_run(run_dir)
    for attempt in range(3):
        for step in range(attempt * 10, attempt * 10 + 15):
            model.log(step, "a", step * attempt)
        model.check(run)
        model.logger.close()
        sinks = tuple(run.manifest["sinks"])
        model.logger = holter.Logger(run_dir, sinks=sinks, resume="must")
        model.check(run)
    model.logger.close()


CRASH = """
import os, signal, sys, holter
logger = holter.Logger(sys.argv[1], sinks=sys.argv[2].split("+"), journal_points=1 << 14)
for step in range(1000):
    logger.log(step, "a", step)
    if step == 600:
        logger.flush()
logger.log(3, "a", float("nan"))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("sinks", SINKS, ids="+".join)
def test_a_crashed_run_is_read_completely_and_not_changed(run_dir, sinks):
    command = [sys.executable, "-c", CRASH, run_dir, "+".join(sinks)]
    assert subprocess.run(command, check=False, timeout=240).returncode == -signal.SIGKILL
    before = files(run_dir)
    run = holter.open_run(run_dir)
    assert (run.status, run.is_live) == ("crashed", False)
    series = run.series("a")
    assert series.steps.tolist() == list(range(1000))
    assert np.flatnonzero(np.isnan(series.values)).tolist() == [3]
    assert run.facts()[0].nonfinite_count == 1
    assert pa.table(run.table()).num_rows == 1000
    assert files(run_dir) == before
    holter.Logger(run_dir, sinks=sinks).close()
    assert run.series("a").steps.tolist() == list(range(1000))
    assert run.status == "finished"


def test_a_failed_run_has_the_status_failed(run_dir):
    def fail():
        with holter.Logger(run_dir) as logger:
            logger.log(0, "a", 1.0)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert holter.open_run(run_dir).status == "failed"


def test_polling_during_fast_logging_reads_prefixes(model, run_dir):
    seen, stop = [], threading.Event()
    run = holter.open_run(run_dir)

    def poll():
        while not stop.is_set():
            if run.names():
                seen.append(run.series("a").steps)

    thread = threading.Thread(target=poll)
    thread.start()
    for step in range(100_000):
        model.logger.log(step, "a", 1.0)
    stop.set()
    thread.join()
    assert all(steps.tolist() == list(range(len(steps))) for steps in seen)
    lengths = [len(steps) for steps in seen]
    assert lengths == sorted(lengths)


<<<<<<< HEAD
=======
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
    values[0] = 5  # they are the caller's own
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
def test_ranges_are_like_pythons(small, start, stop, expected):
    assert small.series("train/loss", start, stop).steps.tolist() == list(expected)
    assert small.downsample("train/loss", 1000, start, stop).steps.tolist() == list(expected)


def test_an_unknown_series_is_a_key_error_that_helps(small):
    with pytest.raises(KeyError, match="did you mean 'train/loss'"):
        small.series("train/los")
    with pytest.raises(KeyError, match="names\\(\\) lists the 3"):
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


def test_facts_need_no_points(small):
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


def test_a_run_tells_what_it_is(small, run_dir):
    assert (small.name, small.path, small.rank, small.ranks) == ("small", run_dir, 0, [0])
    assert small.config == {"lr": 0.1, "seed": 1 << 70}
    assert small.tags == ("a", "b")
    assert small.id == json.loads((run_dir / "run.json").read_text())["id"]
    assert abs(small.created - dt.datetime.now(dt.timezone.utc)) < dt.timedelta(minutes=1)
    assert repr(small) == f"<Run 'small' at '{run_dir}': finished>"
    (run_dir / "run.json").unlink()
    assert "unreadable" in repr(small)


def test_arrow_readers_take_a_table_again_and_again(small):
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


def test_a_stream_may_be_given_up(small):
    table = small.table()
    capsule = table.__arrow_c_stream__()
    assert "arrow_array_stream" in repr(capsule)
    del capsule
    with pa.RecordBatchReader.from_stream(table) as reader:
        assert reader.read_next_batch().num_rows == 201
    assert pa.table(table).num_rows == 201


def test_a_stream_names_what_it_cannot_read(small, run_dir):
    table = small.table()
    stream = pa.RecordBatchReader.from_stream(table)
    (run_dir / "metrics.sqlite").write_bytes(b"nothing of the kind" * 100)
    with pytest.raises(OSError, match=r"metrics\.sqlite is damaged: file is not a database"):
        stream.read_all()
    with pytest.raises(holter.StoreError, match=r"metrics\.sqlite is damaged: file is not a database"):
        small.names()


def test_pandas_gets_long_and_wide_frames(small):
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
    with pytest.raises(ImportError, match=f"{module}: pip install '{extra}'"):
        small.to_pandas() if module == "pandas" else small.to_arrow()


>>>>>>> house-store
def test_a_spike_of_one_step_survives_downsampling(run_dir):
    with holter.Logger(run_dir) as logger:
        for step in range(100_000):
            logger.log(step, "a", 1000.0 if step == 77_777 else math.nan if step == 12_345 else step % 10)
    run = holter.open_run(run_dir)
    few = run.downsample("a", 500)
    assert len(few) <= 500
    assert {0, 12_345, 77_777, 99_999} <= set(few.steps.tolist())
    assert len(run.downsample("a", 1)) <= 5
    assert len(run.downsample("a", 1 << 70)) == 100_000
    with pytest.raises(ValueError, match="at least 1, got 0"):
        run.downsample("a", 0)
    with pytest.raises(TypeError):
        run.downsample("a", 2.5)


def test_runs_are_listed_by_age_and_unreadable_runs_reported(tmp_path):
    root = tmp_path / "runs"
    for name in ["z", "project/b", "a"]:
        holter.Logger(root / name).close()
    (root / "empty").mkdir()
    assert [run.name for run in holter.list_runs(root)] == ["z", "b", "a"]
    (root / "broken").mkdir()
    (root / "broken" / "run.json").write_text("{")
    with pytest.warns(holter.HolterWarning, match="broken is skipped: .*damaged") as warned:
        assert len(holter.list_runs(root)) == 3
    assert warned[0].filename == __file__
    reported = []
    assert len(holter.list_runs(root, on_unreadable=lambda *problem: reported.append(problem))) == 3
    assert [(path.name, "damaged" in reason) for path, reason in reported] == [("broken", True)]
    with pytest.raises(FileNotFoundError, match="nowhere"):
        holter.list_runs(tmp_path / "nowhere")


def test_opening_a_path_that_is_not_a_run_raises_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"does not contain a run \(no run.json\)"):
        holter.open_run(tmp_path)
    (tmp_path / "run.json").write_text('{"format_version": 99}')
    with pytest.raises(holter.FormatVersionError, match="99"):
        holter.open_run(tmp_path)
    (tmp_path / "run.json").write_text('{"format_version": 1}')
    with pytest.raises(holter.StoreError, match="name"):
        holter.open_run(tmp_path)
    with pytest.raises(TypeError):
        holter.open_run(3)


def test_ranks_are_opened_separately(run_dir):
    for rank in [0, 2]:
        with holter.Logger(run_dir, rank=rank) as logger:
            logger.log(0, "a", rank)
    run = holter.open_run(run_dir)
    assert run.ranks == [0, 2]
    assert run.open_rank(2).series("a").last == 2.0
    assert run.open_rank(0).series("a").last == 0.0
    with pytest.raises(FileNotFoundError):
        run.open_rank(1)
    assert len(holter.list_runs(run_dir.parent)) == 1


STEPS = st.integers(-(1 << 63), (1 << 63) - 1) | st.integers(0, 20)
LOGS = st.lists(st.tuples(st.sampled_from("abc"), STEPS, st.floats()), max_size=60)


@hypothesis.settings(max_examples=25, deadline=None)
@hypothesis.given(before=LOGS, after=LOGS, bounds=st.tuples(st.none() | STEPS, st.none() | STEPS))
def test_any_sequence_of_logs_reads_like_a_dict(tmp_path_factory, before, after, bounds):
    path = tmp_path_factory.mktemp("run")
    with holter.Logger(path, sinks=["sqlite"], journal_points=1 << 10) as logger:
        model = Model(logger)
        for name, step, value in before:
            model.log(step, name, value)
        logger.flush()
        for name, step, value in after:
            model.log(step, name, value)
        run = holter.open_run(path)
        model.check(run)
        start, stop = bounds
        for name, points in model.points.items():
            wanted = [s for s in sorted(points) if (start is None or s >= start) and (stop is None or s < stop)]
            assert run.series(name, start, stop).steps.tolist() == wanted
