"""Event files: there and back gives equal points, TensorBoard agrees, and a million points take less than 10 s."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import holter
from holter.formats import find_sources, import_source, tfevents

LIMIT_SECS = 10.0
"""Of processor time, all threads together: what a million points take on one core."""


def points_in(directory):
    """The points of the event files in a directory as text, so that NaN equals NaN; -0.0 is 0.0, as in SQLite."""
    points = {}
    for batch in tfevents.read(directory):
        assert batch.damage == ()
        for name, steps, values, _ in batch.series():
            points.update(
                {(name, step): repr(value + 0.0) for step, value in zip(steps.tolist(), values.tolist(), strict=True)}
            )
    return points


def imported(directory, run):
    (source,) = find_sources(directory)
    import_source(source, run)
    return holter.open_run(run)


names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20)
values = st.one_of(st.floats(), st.floats(width=32))


@settings(max_examples=15, deadline=None)
@given(
    st.dictionaries(
        names,
        st.dictionaries(st.integers(-(2**63), 2**63 - 1), values, min_size=1, max_size=40),
        min_size=1,
        max_size=4,
    )
)
def test_there_and_back_gives_equal_points(tmp_path_factory, series):
    """From event files by way of a run to event files: any names, steps and values."""
    place = tmp_path_factory.mktemp("round")
    with holter.Logger(place / "origin", sinks=["sqlite"], journal_points=1 << 10) as logger:
        for name, points in series.items():
            for step, value in points.items():
                logger.log(step, name, value)
    tfevents.write(holter.open_run(place / "origin"), place / "first")
    run = imported(place / "first", place / "run")
    tfevents.write(run, place / "second")
    expected = {(name, step): repr(value + 0.0) for name, points in series.items() for step, value in points.items()}
    assert points_in(place / "first") == points_in(place / "second") == expected


def test_tensorboard_reads_the_same_from_its_own_file_and_from_ours(tmp_path):
    accumulators = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="tensorboard is not installed"
    )
    from tensorboard.compat.proto import event_pb2, summary_pb2
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    (tmp_path / "theirs").mkdir()
    writer = EventFileWriter(str(tmp_path / "theirs"))
    for step in range(500):
        value = summary_pb2.Summary.Value(tag="loss", simple_value=float("nan") if step == 7 else 1 / (step + 1))
        writer.add_event(event_pb2.Event(step=step, wall_time=1.5 + step, summary=summary_pb2.Summary(value=[value])))
    writer.close()
    run = imported(tmp_path / "theirs", tmp_path / "run")
    tfevents.write(run, tmp_path / "ours")

    def scalars(directory):
        accumulator = accumulators.EventAccumulator(str(directory), {"scalars": 0})
        accumulator.Reload()
        return {
            (tag, one.step, repr(one.value))
            for tag in accumulator.Tags()["scalars"]
            for one in accumulator.Scalars(tag)
        }

    assert scalars(tmp_path / "ours") == scalars(tmp_path / "theirs")
    assert len(scalars(tmp_path / "ours")) == 500


def test_damage_is_told_and_the_rest_is_there(tmp_path):
    with holter.Logger(tmp_path / "origin", sinks=["sqlite"]) as logger:
        for step in range(100):
            logger.log(step, "loss", step / 2)
    (path,) = tfevents.write(holter.open_run(tmp_path / "origin"), tmp_path / "files")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    faults = []
    (source,) = find_sources(tmp_path / "files")
    told = []
    done = import_source(source, tmp_path / "run", on_fault=faults.append, progress=told.append)
    assert (done.num_points, done.num_faults) == (99, 1)
    assert str(faults[0]).startswith(f"{path}, byte ")
    assert told[-1] == source.num_bytes == len(content)


def test_a_million_points_are_imported_in_time(tmp_path):
    names = [f"grad_norm/blocks.{number}.weight" for number in range(50)]
    values = np.random.default_rng(0).normal(size=(20_000, len(names)))
    with holter.Logger(tmp_path / "origin", sinks=["sqlite"]) as logger:
        metrics = logger.metrics(names)
        for step in range(len(values)):
            logger.log_array(step, metrics, values[step])
    tfevents.write(holter.open_run(tmp_path / "origin"), tmp_path / "files")
    begin = time.process_time()
    run = imported(tmp_path / "files", tmp_path / "run")
    assert time.process_time() - begin < LIMIT_SECS
    assert sum(series.count for series in run.facts()) == 1_000_000
    for column, name in enumerate(names):
        assert np.array_equal(run.series(name).values, values[:, column])
