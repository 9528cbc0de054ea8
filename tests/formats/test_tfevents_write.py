"""Writing runs as event files: reading them back gives equal points, and TensorBoard agrees in both directions."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import holter
from event_records import collect, event, field, record, scalar
from holter import _core
from holter.formats import find_sources, import_source, tfevents

EDGES = [0.0, -0.0, 1.0, 1 / 3, float("nan"), float("inf"), float("-inf"), 5e-324, 1.7976931348623157e308, 3.4e38, 1e39]
STEPS = [-(2**63), -1, 0, 1, 127, 128, 16383, 16384, 2**31, 2**40, 2**63 - 1]
MAX_IMPORT_SECS = 10.0
"""CPU time of all threads for a million points."""

names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20)
values = st.one_of(st.floats(), st.floats(width=32))
any_series = st.dictionaries(
    names, st.dictionaries(st.integers(-(2**63), 2**63 - 1), values, min_size=1, max_size=40), min_size=1, max_size=4
)


def record_run(path, series, **settings):
    with holter.Logger(path, **settings) as logger:
        for name, points in series.items():
            for step, value in points:
                logger.log(step, name, value)
    return holter.open_run(path)


def import_run(files, path):
    (source,) = find_sources(files)
    imported = import_source(source, path)
    assert imported.num_faults == 0
    return holter.open_run(path)


def assert_equal_series(actual, expected):
    assert actual.names() == expected.names()
    for name in expected.names():
        assert actual.series(name).steps.tolist() == expected.series(name).steps.tolist()
        np.testing.assert_array_equal(actual.series(name).values, expected.series(name).values)


# --- Round trip ---


def test_records_are_those_of_the_format():
    steps, numbers, times = np.array([3, -1]), np.array([0.5, 1 / 3]), np.array([1.5, 2.5])
    encoded = _core.encode_events("a", steps.tobytes(), numbers.tobytes(), times.tobytes())
    exact = event(-1, scalar("a", 1 / 3) + field(18_540, 1 / 3), at=2.5)
    assert encoded == record(event(3, scalar("a", 0.5), at=1.5)) + record(exact)
    assert _core.event_file_header(1.5) == record(field(1, 1.5) + field(3, b"brain.Event:2"))


def test_points_survive_a_round_trip(tmp_path):
    series = {
        "float64": list(zip(STEPS, EDGES, strict=True)),
        "float32": [(step, float(np.float32(step % 7 / 3))) for step in STEPS],
        "näme/with spaces": [(3, 0.5)],
        "x" * 5000: [(4, 1 / 3)],
    }
    run = record_run(tmp_path / "run", series)
    (path,) = tfevents.write(run, tmp_path / "tensorboard")
    assert_equal_series(import_run(tmp_path / "tensorboard", tmp_path / "imported"), run)
    assert collect(tfevents.read(path))[1:] == ([], {})


@settings(max_examples=15, deadline=None)
@given(any_series)
def test_any_points_survive_two_round_trips(tmp_path_factory, series):
    """From a run to event files, to an imported run, to event files."""
    folder = tmp_path_factory.mktemp("any")
    settings = {"sinks": ["sqlite"], "journal_points": 1 << 10}
    run = record_run(folder / "run", {name: points.items() for name, points in series.items()}, **settings)
    expected = {(name, step): value for name, points in series.items() for step, value in points.items()}
    for number in range(2):
        tfevents.write(run, folder / f"files-{number}")
        points, damage, skipped = collect(tfevents.read(folder / f"files-{number}"))
        assert points.keys() == expected.keys()
        np.testing.assert_array_equal([points[key] for key in expected], list(expected.values()))
        assert (damage, skipped) == ([], {})
        run = import_run(folder / f"files-{number}", folder / f"run-{number}")


def test_times_survive_a_round_trip(tmp_path):
    run = record_run(tmp_path / "run", {"a": [(step, 1.0) for step in range(100)]})
    tfevents.write(run, tmp_path / "tensorboard")
    (times,) = (times for batch in tfevents.read(tmp_path / "tensorboard") for *_, times in batch.series())
    expected = run.series("a").timestamps.astype(np.int64)
    assert np.abs(times * 1e6 - expected).max() < 1


# --- Files ---


def test_each_rank_gets_a_directory(tmp_path):
    record_run(tmp_path / "run", {"a": [(0, 1.0)]})
    record_run(tmp_path / "run", {"a": [(0, 2.0)]}, rank=3)
    run = holter.open_run(tmp_path / "run")
    tfevents.write(run, tmp_path / "all")
    assert list(tfevents.find(tmp_path / "all")) == [".", "rank-00003"]
    assert collect(tfevents.read(tmp_path / "all" / "rank-00003"))[0] == {("a", 0): 2.0}
    tfevents.write(run.open_rank(3), tmp_path / "one")
    assert list(tfevents.find(tmp_path / "one")) == ["rank-00003"]


def test_pattern_and_progress(tmp_path):
    run = record_run(tmp_path / "run", {"loss/a": [(0, 1.0), (200, 1.0)], "loss/b": [(0, 1 / 3)], "c": [(0, 1.0)]})
    counts = []
    tfevents.write(run, tmp_path / "tensorboard", pattern="loss/*", on_progress=counts.append)
    points, _, _ = collect(tfevents.read(tmp_path / "tensorboard"))
    assert points == {("loss/a", 0): 1.0, ("loss/a", 200): 1.0, ("loss/b", 0): 1 / 3}
    assert sum(counts) == 3
    assert tfevents.write(run, tmp_path / "nothing", pattern="none") == []
    assert not (tmp_path / "nothing").exists()


def test_existing_event_files_are_not_mixed_with_new_ones(tmp_path):
    run = record_run(tmp_path / "run", {"a": [(0, 1.0)]})
    tfevents.write(run, tmp_path / "tensorboard")
    with pytest.raises(FileExistsError, match="already contains event files"):
        tfevents.write(run, tmp_path / "tensorboard")


def test_interrupted_export_leaves_no_files(tmp_path):
    run = record_run(tmp_path / "run", {"a": [(0, 1.0)]})

    def stop(num_points):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tfevents.write(run, tmp_path / "tensorboard", on_progress=stop)
    assert list((tmp_path / "tensorboard").iterdir()) == []


# --- Import ---


def test_import_reports_damage_and_keeps_the_rest(tmp_path):
    run = record_run(tmp_path / "run", {"loss": [(step, step / 2) for step in range(100)]})
    (path,) = tfevents.write(run, tmp_path / "files")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    (source,) = find_sources(tmp_path / "files")
    faults, progress = [], []
    imported = import_source(source, tmp_path / "imported", on_fault=faults.append, on_progress=progress.append)
    assert (imported.num_points, imported.num_faults) == (99, 1)
    assert str(faults[0]).startswith(f"{path}, byte ")
    assert progress[-1] == source.num_bytes == len(content)


def test_a_million_points_are_imported_in_time(tmp_path):
    steps, names = 20_000, [f"grad_norm/blocks.{number}.weight" for number in range(50)]
    values = np.random.default_rng(0).normal(size=(steps, len(names)))
    values[:, ::2] = values[:, ::2].astype(np.float32)
    with holter.Logger(tmp_path / "run", sinks=["sqlite"]) as logger:
        metrics = logger.metrics(names)
        for step in range(steps):
            logger.log_array(step, metrics, values[step])
    run = holter.open_run(tmp_path / "run")
    tfevents.write(run, tmp_path / "tensorboard")
    start = time.process_time()
    imported = import_run(tmp_path / "tensorboard", tmp_path / "imported")
    assert time.process_time() - start < MAX_IMPORT_SECS
    assert_equal_series(imported, run)


# --- TensorBoard's own reader and writer ---


@pytest.fixture
def accumulate():
    """A function from a directory to all that TensorBoard reads from it."""
    module = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="tensorboard is not installed"
    )
    return lambda path: module.EventAccumulator(str(path), dict.fromkeys(module.DEFAULT_SIZE_GUIDANCE, 0)).Reload()


def test_tensorboard_reads_written_files(tmp_path, accumulate):
    points = {
        "float32": [(step, step / 4) for step in range(300)],
        "float64": [(step, step / 3) for step in range(300)],
    }
    run = record_run(tmp_path / "run", points)
    tfevents.write(run, tmp_path / "tensorboard")
    accumulated = accumulate(tmp_path / "tensorboard")
    assert accumulated.Tags()["scalars"] == ["float32", "float64"]
    for tag, expected in points.items():
        found = [(one.step, one.value) for one in accumulated.Scalars(tag)]
        assert found == [(step, float(np.float32(value))) for step, value in expected]
    assert accumulated.file_version == 2.0
    assert accumulated.FirstEventTimestamp() == pytest.approx(run.created.timestamp(), abs=1)


def test_files_of_torch_are_read(tmp_path, accumulate):
    torch_tensorboard = pytest.importorskip("torch.utils.tensorboard", reason="torch or tensorboard is not installed")
    from tensorboard.util import tensor_util

    with torch_tensorboard.SummaryWriter(tmp_path) as writer:
        for step in range(500):
            writer.add_scalar("loss/train", 1 / (step + 1), step)
            writer.add_scalar("loss/valid", 2 / (step + 1), step, walltime=12345.5)
            writer.add_scalar("new", 1 / (step + 1), step, new_style=True)
            writer.add_scalar("double", 1 / (step + 1), step, new_style=True, double_precision=True)
        writer.add_scalar("no step", 1.0)
        writer.add_histogram("weights", np.arange(10.0), 0)
        writer.add_image("image", np.zeros((3, 2, 2), np.uint8), 0)
        writer.add_text("text", "hello", 0)
        writer.add_hparams({"lr": 0.1}, {"hparam/loss": 1.0}, run_name="trial")
    accumulated = accumulate(tmp_path)
    expected = {(tag, one.step): one.value for tag in accumulated.Tags()["scalars"] for one in accumulated.Scalars(tag)}
    expected.update(
        {
            (tag, one.step): tensor_util.make_ndarray(one.tensor_proto).item()
            for tag in ("new", "double")
            for one in accumulated.Tensors(tag)
        }
    )
    points, damage, skipped = collect(tfevents.read(tmp_path))
    assert len(expected) == 4 * 500 + 1
    assert points == expected
    assert points["double", 2] == 1 / 3
    assert (damage, skipped) == ([], {"histograms": 1, "images": 1, "tensors": 1})
    assert list(tfevents.find(tmp_path)) == [".", "trial"]
    assert collect(tfevents.read(tmp_path / "trial"))[0] == {("hparam/loss", 0): 1.0}


def test_tensorboard_reads_the_same_after_import_and_export(tmp_path, accumulate):
    from tensorboard.compat.proto import event_pb2, summary_pb2
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    (tmp_path / "original").mkdir()
    writer = EventFileWriter(str(tmp_path / "original"))
    for step in range(500):
        value = summary_pb2.Summary.Value(tag="loss", simple_value=float("nan") if step == 7 else 1 / (step + 1))
        writer.add_event(event_pb2.Event(step=step, wall_time=1.5 + step, summary=summary_pb2.Summary(value=[value])))
    writer.close()
    tfevents.write(import_run(tmp_path / "original", tmp_path / "run"), tmp_path / "exported")
    original, exported = (
        [(one.step, repr(one.value)) for one in accumulate(tmp_path / folder).Scalars("loss")]
        for folder in ("original", "exported")
    )
    assert len(original) == 500
    assert exported == original
