"""The ranks of a distributed run are read as one run, or separately with `rank=`."""

import json
import math
import shutil

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pytest

import holter

JOURNAL = 1 << 10


def record(run_dir, rank, points, **options):
    """Record `{name: {step: value}}` and close the rank."""
    with holter.Logger(run_dir, rank=rank, journal_points=JOURNAL, **options) as logger:
        for name, values in points.items():
            for step, value in values.items():
                logger.log(step, name, value)


@pytest.fixture
def run(run_dir):
    """Three ranks; only the first has a learning rate, and the last has an additional series."""
    record(run_dir, 2, {"loss": {0: 20.0, 1: 21.0}, "late": {5: 2.5}})
    record(run_dir, 0, {"loss": {0: 0.0, 1: 1.0, 2: math.nan}, "lr": {0: 0.5}}, config={"seed": 7}, tags=["a"])
    record(run_dir, 1, {"loss": {0: 10.0}})
    return holter.open_run(run_dir)


# --- Names, series, facts, buckets ---


def test_a_series_is_read_from_the_lowest_rank_that_has_it(run):
    assert run.names() == ["late", "loss", "lr"]
    assert run.names("l*s") == ["loss"]
    assert run.series("late").values.tolist() == [2.5]
    np.testing.assert_array_equal(run.series("loss").values, [0.0, 1.0, math.nan])
    assert run.series("loss", 0, 2).values.tolist() == [0.0, 1.0]
    assert run.downsample("late", 10).values.tolist() == [2.5]
    assert run.facts("l[ar]*") == [
        holter.SeriesFacts("late", 1, 0, 5, 5, 2.5, 2.5, 5, 2.5, 5),
        holter.SeriesFacts("lr", 1, 0, 0, 0, 0.5, 0.5, 0, 0.5, 0),
    ]
    assert [facts.count for facts in run.facts("loss")] == [3]


@pytest.mark.parametrize("rank", [2, np.int64(2)])
def test_a_given_rank_is_read_separately(run, rank):
    assert run.names(rank=rank) == ["late", "loss"]
    assert run.series("loss", rank=rank).values.tolist() == [20.0, 21.0]
    assert run.downsample("loss", 10, 1, rank=rank).values.tolist() == [21.0]
    assert run.facts("loss", rank=rank) == [holter.SeriesFacts("loss", 2, 0, 0, 1, 21.0, 20.0, 0, 21.0, 1)]
    assert run.buckets(["loss"], rank=rank)[0].lasts.tolist() == [20.0, 21.0]
    assert run.to_arrow(rank=rank)["rank"].unique().to_pylist() == [2]
    assert run.to_pandas("loss", rank=rank)["value"].tolist() == [20.0, 21.0]
    assert run.to_pandas(wide=True, rank=rank)["loss"].dropna().tolist() == [20.0, 21.0]


def test_a_missing_series_or_rank_raises_an_error(run, run_dir):
    with pytest.raises(KeyError, match=r"run-1 has no series 'lat'; did you mean 'late'"):
        run.series("lat")
    with pytest.raises(KeyError, match=r"rank 1 of .*run-1 has no series 'late'"):
        run.series("late", rank=1)
    with pytest.raises(KeyError, match=r"rank 1 of .*run-1 has no series 'late'"):
        run.buckets(["loss", "late"], rank=1)
    with pytest.raises(KeyError, match="has no series 'zzz'"):
        run.buckets(["loss", "zzz", "late"])
    for read in (run.names, run.facts, run.to_arrow, run.to_pandas):
        with pytest.raises(FileNotFoundError, match=r"rank-00003 does not contain a run"):
            read(rank=3)
    for rank in (-1, 1 << 31, 1 << 70):
        with pytest.raises(FileNotFoundError, match=r"has no rank .*; ranks are \[0, 1, 2\]"):
            run.series("loss", rank=rank)
    with pytest.raises(TypeError):
        run.series("loss", rank="2")
    with pytest.raises(FileNotFoundError, match=r"has no rank 0; ranks are \[2\]"):
        holter.open_run(run_dir / "rank-00002").open_rank(0)


def test_buckets_of_several_ranks_have_one_width(run_dir):
    record(run_dir, 0, {"short": {step: step * 1.0 for step in range(10)}})
    record(run_dir, 1, {"long": {step: math.sin(step) for step in range(5_000)}, "short": {0: 9.0}})
    run = holter.open_run(run_dir)
    alone = run.open_rank(1).buckets(["long"], max_buckets=100)[0]
    assert alone.width == 64
    for names in ("*", ["long", "short"], ["short", "long", "short"]):
        found = run.buckets(names, max_buckets=100)
        assert [buckets.name for buckets in found] == (["long", "short"] if names == "*" else names)
        assert {buckets.width for buckets in found} == {64}
        by_name = {buckets.name: buckets for buckets in found}
        np.testing.assert_array_equal(by_name["long"].sums, alone.sums)
        assert by_name["short"].counts.tolist() == [10]
    assert {buckets.width for buckets in run.buckets("*", width=512)} == {512}
    assert {buckets.width for buckets in run.buckets("*", stop=20)} == {1}
    assert run.buckets("nothing") == []
    assert [len(buckets.steps) for buckets in run.buckets("*", start=1 << 70)] == [0, 0]
    with pytest.raises(ValueError, match="64 \\* 8"):
        run.buckets("*", width=3)


# --- Tables ---


def test_tables_contain_the_rows_of_all_ranks(run):
    rows = [
        (0, "loss", 0, 0.0),
        (0, "loss", 1, 1.0),
        (0, "loss", 2, math.nan),
        (0, "lr", 0, 0.5),
        (1, "loss", 0, 10.0),
        (2, "late", 5, 2.5),
        (2, "loss", 0, 20.0),
        (2, "loss", 1, 21.0),
    ]
    table = run.table()
    assert "of rank" not in repr(table)
    assert "of rank 2" in repr(run.table(rank=2))
    for _ in range(2):
        arrow = pa.table(table)
        assert arrow.column_names == ["run", "rank", "name", "step", "value", "timestamp"]
        assert arrow["run"].unique().to_pylist() == ["run-1"]
        found = arrow.select(["rank", "name", "step", "value"]).to_pylist()
        np.testing.assert_equal([tuple(row.values()) for row in found], rows)
    frame = run.to_pandas()
    found = frame[["rank", "name", "step", "value"]].itertuples(index=False, name=None)
    np.testing.assert_equal(list(found), rows)
    assert frame["name"].cat.categories.tolist() == ["late", "loss", "lr"]
    assert pl.DataFrame(run.table("loss")).height == 6
    loss = run.table("loss")
    counted = duckdb.sql("SELECT rank, count(*) FROM loss GROUP BY rank ORDER BY rank").fetchall()
    assert counted == [(0, 3), (1, 1), (2, 2)]
    del loss
    wide = run.to_pandas(wide=True)
    assert wide.columns.tolist() == ["late", "loss", "lr"]
    np.testing.assert_array_equal(wide["loss"], [0.0, 1.0, math.nan, math.nan])


def test_a_stream_of_several_ranks_names_the_damaged_file(run, run_dir):
    stream = pa.RecordBatchReader.from_stream(run.table())
    (run_dir / "rank-00001" / "metrics.sqlite").write_bytes(b"not a database" * 100)
    assert stream.read_next_batch().num_rows == 4
    with pytest.raises(OSError, match=r"rank-00001/metrics\.sqlite is damaged"):
        stream.read_next_batch()
    with pytest.raises(holter.StoreError, match=r"rank-00001/metrics\.sqlite is damaged"):
        run.names()
    assert run.series("lr").last == 0.5
    assert run.series("loss", rank=2).last == 21.0


# --- Metadata ---


def test_metadata_comes_from_the_lowest_rank(run, run_dir):
    manifest = json.loads((run_dir / "run.json").read_text())
    assert (run.path, run.name, run.id, run.rank, run.ranks) == (run_dir, "run-1", manifest["id"], 0, [0, 1, 2])
    assert (run.config, run.tags, run.manifest) == ({"seed": 7}, ("a",), manifest)
    other = run.open_rank(2)
    assert (other.path, other.rank, other.ranks, other.config) == (run_dir / "rank-00002", 2, [2], {})
    assert other.names() == ["late", "loss"]
    first = run.open_rank(0)
    assert (first.path, first.rank, first.ranks, first.names()) == (run_dir, 0, [0], ["loss", "lr"])
    assert first.open_rank(0).names() == first.names()
    directly = holter.open_run(run_dir / "rank-00002")
    assert (directly.rank, directly.ranks, directly.names()) == (2, [2], ["late", "loss"])


STATUSES = [
    (["finished", "finished"], "finished"),
    (["finished", "failed"], "failed"),
    (["failed", "crashed"], "crashed"),
    (["crashed", "finished"], "crashed"),
    (["finished", "crashed", "live"], "running"),
    (["live", "failed"], "running"),
]


@pytest.mark.parametrize(("statuses", "expected"), STATUSES, ids=lambda value: "-".join(value))
def test_the_status_covers_all_ranks(run_dir, statuses, expected):
    live = []
    for rank, status in enumerate(statuses):
        logger = holter.Logger(run_dir, rank=rank, journal_points=JOURNAL)
        if status == "live":
            live.append(logger)
            continue
        logger.close()
        manifest = (run_dir if rank == 0 else run_dir / f"rank-{rank:05}") / "run.json"
        # A run whose manifest has the status "running" and that no process holds has crashed.
        written = {**json.loads(manifest.read_text()), "status": "running" if status == "crashed" else status}
        manifest.write_text(json.dumps(written))
    run = holter.open_run(run_dir)
    assert (run.status, run.is_live) == (expected, bool(live))
    for logger in live:
        logger.close()
    assert run.status == next(each for each in ("crashed", "failed", "finished") if each in [*statuses, "finished"])
    assert not run.is_live


def test_ranks_that_start_while_the_run_is_open_are_read(run_dir):
    record(run_dir, 0, {"loss": {0: 0.0}})
    run = holter.open_run(run_dir)
    revisions = [run.revision]
    assert run.names() == ["loss"]
    with holter.Logger(run_dir, rank=4, journal_points=JOURNAL) as logger:
        revisions.append(run.revision)
        assert run.ranks == [0, 4]
        logger.log(3, "late", 1.0)
        revisions.append(run.revision)
        assert run.names() == ["late", "loss"]
        assert run.to_arrow("late").num_rows == 1
        logger.log(4, "late", 2.0)
        revisions.append(run.revision)
        assert run.series("late").last == 2.0
        assert run.status == "running"
    revisions.append(run.revision)
    assert len(set(revisions)) == len(revisions)
    assert run.revision == run.revision
    assert run.status == "finished"


# --- Discovery ---


def test_a_run_without_rank_0_is_found(run_dir):
    for rank in (7, 3):
        record(run_dir, rank, {"loss": {0: float(rank)}})
    (listed,) = holter.list_runs(run_dir.parent)
    (listed_directly,) = holter.list_runs(run_dir)
    runs = [holter.open_run(run_dir), listed, listed_directly]
    for run in runs:
        assert (run.path, run.name, run.rank, run.ranks) == (run_dir, "run-1", 3, [3, 7])
        assert run.series("loss").last == 3.0
        assert run.to_arrow()["value"].to_pylist() == [3.0, 7.0]
    record(run_dir, 0, {"loss": {0: 0.5}}, config={"seed": 1})
    for run in runs:
        assert run.ranks == [0, 3, 7]
        assert run.series("loss").last == 0.5
        assert (run.rank, run.config) == (0, {"seed": 1})


def test_a_run_with_several_ranks_is_listed_once(run, run_dir):
    root = run_dir.parent
    record(root / "group" / "deep" / "headless", 1, {"loss": {0: 1.0}})
    shutil.copytree(run_dir / "rank-00002", root / "copied")
    found = {str(run.path.relative_to(root)): run.ranks for run in holter.list_runs(root)}
    assert found == {"run-1": [0, 1, 2], "group/deep/headless": [1], "copied": [2]}
    assert [run.ranks for run in holter.list_runs(run_dir / "rank-00002")] == [[2]]
    # A rank's directory among runs makes the folder a run, and does not hide the others.
    shutil.copytree(run_dir / "rank-00002", root / "rank-00002")
    assert {str(run.path.relative_to(root)) for run in holter.list_runs(root)} == {*found, "."}


def test_an_unreadable_rank_is_reported(run, run_dir):
    (run_dir / "rank-00001" / "run.json").write_text('{"format_version": 99}')
    again = holter.open_run(run_dir)
    for read in (again.names, again.facts, again.to_arrow):
        with pytest.raises(holter.FormatVersionError, match=r"rank-00001.*99"):
            read()
    assert again.series("loss").last is not None
    assert again.series("late", rank=2).last == 2.5
    assert [each.ranks for each in holter.list_runs(run_dir.parent)] == [[0, 1, 2]]
    (run_dir / "run.json").unlink()
    reported = []
    (found,) = holter.list_runs(run_dir.parent, on_unreadable=lambda path, reason: reported.append(path.name))
    assert (found.path, found.name, found.rank, reported) == (run_dir, "run-1", 2, ["run-1", "rank-00001"])
    with pytest.raises(holter.FormatVersionError, match=r"rank-00001.*99"):
        found.names()
    with pytest.raises(holter.FormatVersionError, match=r"rank-00001.*99"):
        holter.open_run(run_dir)


def test_reading_a_deleted_run_raises_file_not_found(run, run_dir):
    shutil.rmtree(run_dir)
    for read in (run.names, run.facts, lambda: run.status, lambda: run.ranks, run.to_arrow, lambda: run.manifest):
        with pytest.raises(FileNotFoundError, match="does not contain a run"):
            read()
    with pytest.raises(FileNotFoundError, match="does not contain a run"):
        holter.open_run(run_dir)
    assert "unreadable" in repr(run)
