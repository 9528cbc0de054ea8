"""Syncing finished and live runs: which files are copied, and that a second call copies only the changes."""

import json
import os
import shutil
from pathlib import Path

import pyarrow.dataset
import pytest

import holter
import holter.syncing._rank
import run_files
from holter.syncing import Destination, sync_run, verify_run
from run_copies import assert_is_copy, assert_no_partial_files, files_of, manifest_of
from waiting import wait_until


def points_of(table: "pyarrow.Table", rank: int) -> run_files.Points:
    rows = [row for row in table.to_pylist() if row["rank"] == rank]
    points = {(row["name"], row["step"]): row["value"] for row in rows}
    assert len(points) == len(rows), "duplicate point"
    return points


def test_copy_has_the_readable_files_of_every_rank(run: Path, destination: Destination, copy: Path) -> None:
    """Catches a missing rank, file or part, and a database or journal that is copied."""
    done = sync_run(run, destination)
    assert_is_copy(copy, run)
    assert sorted(done.copied) == [
        "parquet/part-000000.parquet",
        "rank-00001/parquet/part-000000.parquet",
        "rank-00001/run.json",
        "rank-00001/summary.jsonl",
        "run.json",
        "summary.jsonl",
    ]
    assert done.copied == {name: len(content) for name, content in files_of(copy).items()}
    assert (done.name, done.status, done.is_live) == ("run-1", "finished", False)
    assert (done.num_unchanged, done.removed, done.left_out) == (0, (), ())


def test_copy_has_the_points_of_the_run(run: Path, destination: Destination, copy: Path) -> None:
    sync_run(run, destination)
    table = pyarrow.dataset.dataset([str(path) for path in copy.rglob("*.parquet")]).to_table()
    for rank in range(2):
        folder = run / "rank-00001" if rank else run
        run_files.assert_same_points(points_of(table, rank), run_files.sqlite_points(folder))


def test_copy_is_readable_without_a_database(run: Path, destination: Destination, copy: Path) -> None:
    sync_run(run, destination)
    found, expected = holter.open_run(copy), holter.open_run(run)
    assert (found.id, found.status, found.ranks) == (expected.id, "finished", [0, 1])
    assert found.names() == expected.names()
    for rank in range(2):
        for name in expected.names():
            copied, original = found.series(name, rank=rank), expected.series(name, rank=rank)
            assert copied.steps.tolist() == original.steps.tolist()
            assert copied.values.tobytes() == original.values.tobytes()
    assert [listed.path for listed in holter.list_runs(copy.parent)] == [copy]


def test_second_sync_copies_nothing(run: Path, destination: Destination, copy: Path) -> None:
    sync_run(run, destination)
    before = {path: path.stat().st_ino for path in copy.rglob("*")}
    done = sync_run(run, destination)
    assert (done.copied, done.num_unchanged) == ({}, 6)
    assert {path: path.stat().st_ino for path in copy.rglob("*")} == before


def test_changed_mtimes_alone_do_not_count_as_changes(run: Path, destination: Destination, copy: Path) -> None:
    """Catches a run that was itself copied and is uploaded again completely."""
    sync_run(run, destination)
    for path in run.rglob("*"):
        os.utime(path, ns=(1, 1))
    assert sync_run(run, destination).copied == {}
    assert {facts["mtime_ns"] for facts in manifest_of(copy)["files"].values()} == {1}


def test_changed_files_are_copied(run: Path, destination: Destination, copy: Path) -> None:
    """Catches a missed change that keeps the size or the mtime."""
    sync_run(run, destination)
    part = run / "parquet" / "part-000000.parquet"
    content = bytearray(part.read_bytes())
    content[100] ^= 1
    part.write_bytes(content)
    with (run / "summary.jsonl").open("a") as file:
        file.write('{"step": 1000}\n')
    times = (run / "run.json").stat()
    (run / "run.json").write_text((run / "run.json").read_text() + " ")
    os.utime(run / "run.json", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert sync_run(run, destination).copied.keys() == {"parquet/part-000000.parquet", "summary.jsonl", "run.json"}
    assert_is_copy(copy, run)


def test_files_missing_at_the_destination_are_copied_again(run: Path, destination: Destination, copy: Path) -> None:
    """Catches a sync that trusts the manifest although the files differ."""
    sync_run(run, destination)
    (copy / "parquet" / "part-000000.parquet").unlink()
    (copy / "rank-00001" / "summary.jsonl").write_bytes(b"{}\n")
    done = sync_run(run, destination)
    assert done.copied.keys() == {"parquet/part-000000.parquet", "rank-00001/summary.jsonl"}
    assert_is_copy(copy, run)


def test_dry_run_reports_the_changes_without_making_them(run: Path, destination: Destination, copy: Path) -> None:
    planned = sync_run(run, destination, is_dry_run=True)
    assert not copy.parent.exists()
    assert sync_run(run, destination) == planned
    assert sync_run(run, destination, is_dry_run=True).copied == {}


def test_progress_counts_every_byte(run: Path, destination: Destination) -> None:
    calls: list[tuple[int, int]] = []
    done = sync_run(run, destination, on_progress=lambda *numbers: calls.append(numbers))
    assert calls == sorted(calls)
    assert calls[-1] == (done.num_bytes, done.num_bytes)
    assert {total for _, total in calls} == {done.num_bytes}


def test_complete_files_of_a_live_run_are_copied(tmp_path, recording, destination, copy) -> None:
    """Each part is copied once; after the run is closed, the copy equals the run, without duplicate points."""
    run = tmp_path / "runs" / "run-1"
    logger = recording(run, parts=2)
    first = sync_run(run, destination)
    assert first.is_live
    assert {"parquet/part-000000.parquet", "parquet/part-000001.parquet"} < first.copied.keys()
    run_files.assert_same_points(run_files.parquet_points(copy), run_files.parquet_points(run))
    assert len(holter.open_run(copy).series("train/loss")) == 200

    for step in range(200, 300):
        logger.log(step, "train/loss", 1.5)
    logger.flush()
    second = sync_run(run, destination)
    assert {name for name in second.copied if name.endswith(".parquet")} == {"parquet/part-000002.parquet"}
    assert (second.removed, second.is_live) == ((), True)

    logger.close()
    third = sync_run(run, destination)
    assert {name for name in third.copied if name.endswith(".parquet")} == {"parquet/part-000003.parquet"}
    assert third.removed == tuple(f"parquet/part-{number:06}.parquet" for number in range(3))
    assert not third.is_live
    assert_is_copy(copy, run)
    assert holter.open_run(copy).status == "finished"


def test_only_complete_lines_are_copied(run: Path, destination: Destination, copy: Path) -> None:
    complete = (run / "summary.jsonl").read_bytes()
    (run / "summary.jsonl").write_bytes(complete + b'{"step": 19')  # as during a write
    (run / "events.jsonl").write_bytes(b'{"level": "info"')
    sync_run(run, destination)
    assert (copy / "summary.jsonl").read_bytes() == complete
    assert not (copy / "events.jsonl").exists()
    assert sync_run(run, destination).copied == {}
    (run / "events.jsonl").write_bytes(b'{"level": "info"}\n')
    assert sync_run(run, destination).copied == {"events.jsonl": 18}


def test_parts_merged_during_the_sync(tmp_path, recording, destination, copy) -> None:
    """Catches a run that is closed during the sync: its parts disappear, and the merged one must be copied."""
    run = tmp_path / "runs" / "run-1"
    logger = recording(run, parts=3)
    done = sync_run(run, destination, on_progress=lambda *_: logger.close())
    assert {name for name in done.copied if name.endswith(".parquet")} == {
        "parquet/part-000000.parquet",
        "parquet/part-000003.parquet",
    }
    assert done.removed == ("parquet/part-000000.parquet",)
    run_files.assert_same_points(run_files.parquet_points(copy), run_files.parquet_points(run))
    # The copy has the run's manifest from the start of the sync; the next sync copies the final one.
    assert holter.open_run(copy).manifest["status"] == "running"
    assert sync_run(run, destination).copied.keys() == {"run.json"}
    assert_is_copy(copy, run)


def test_replaced_parts_left_by_a_crash_are_not_copied(tmp_path, recording, destination, copy):
    """Catches duplicate points in the copy; reading the run itself ignores such parts."""
    run = tmp_path / "runs" / "run-1"
    logger = recording(run, parts=2)
    shutil.copytree(run / "parquet", tmp_path / "parts")
    logger.close()
    for path in (tmp_path / "parts").iterdir():
        shutil.copy(path, run / "parquet")
    done = sync_run(run, destination)
    assert {name for name in done.copied if name.endswith(".parquet")} == {"parquet/part-000002.parquet"}
    assert len(run_files.parquet_points(copy)) == 200 * 4


def test_parts_merged_twice_since_the_last_sync_are_removed(tmp_path, recording, destination, copy):
    run = tmp_path / "runs" / "run-1"
    logger = recording(run, parts=2)
    sync_run(run, destination)
    logger.close()
    recording(run, parts=2, first_step=150).close()
    done = sync_run(run, destination)
    assert done.removed == ("parquet/part-000000.parquet", "parquet/part-000001.parquet")
    assert_is_copy(copy, run)
    assert len(run_files.parquet_points(copy)) == 350 * 4


def test_manifest_entries_of_removed_parts_are_dropped(tmp_path, recording, destination, copy) -> None:
    """Catches a copy that is always reported as damaged after a kill between a removal and the manifest update."""
    run = tmp_path / "runs" / "run-1"
    logger = recording(run, parts=2)
    sync_run(run, destination)
    logger.close()
    (copy / "parquet" / "part-000000.parquet").unlink()
    assert sync_run(run, destination).removed == ("parquet/part-000001.parquet",)
    assert_is_copy(copy, run)
    before = manifest_of(copy)
    before["files"]["parquet/part-000000.parquet"] = before["files"]["parquet/part-000002.parquet"]
    (copy / "holter-sync.json").write_text(json.dumps(before))
    assert [damage.name for damage in verify_run(run, destination)[1]] == ["parquet/part-000000.parquet"]
    assert sync_run(run, destination).copied == {}
    assert verify_run(run, destination) == (3, [])


def test_foreign_files_in_the_copy_are_not_removed(tmp_path, recording, destination, copy) -> None:
    run = tmp_path / "runs" / "run-1"
    recording(run, parts=2).close()
    sync_run(run, destination)
    others = [copy / "part-000000.parquet", copy / "parquet" / "part-0.parquet", copy / "notes.txt"]
    for path in others:
        path.write_text("mine")
    (run / "summary.jsonl").unlink()
    assert sync_run(run, destination).removed == ()
    assert [path.read_text() for path in others] == ["mine"] * 3


def test_locally_deleted_parts_stay_in_the_copy(tmp_path, recording, destination, copy) -> None:
    """Catches a sync that removes the last copy of a point; it may remove only merged parts."""
    run = tmp_path / "runs" / "run-1"
    logger = recording(run, parts=3)
    sync_run(run, destination)
    (run / "parquet" / "part-000000.parquet").unlink()
    (run / "parquet" / "part-000001.parquet").unlink()
    assert sync_run(run, destination).removed == ()
    assert len(list((copy / "parquet").iterdir())) == 3
    shutil.rmtree(run / "parquet")
    assert sync_run(run, destination).removed == ()
    assert len(list((copy / "parquet").iterdir())) == 3
    assert verify_run(run, destination) == (5, [])
    (run / "parquet").mkdir()
    logger.close()


def test_large_jsonl_of_a_live_run_is_copied_only_after_growth(tmp_path, recording, destination, monkeypatch):
    """Catches megabytes copied again for each new line; after the run is closed, the copy must be complete."""
    monkeypatch.setattr(holter.syncing._rank, "LARGE_LINES_BYTES", 1000)
    run = tmp_path / "runs" / "run-1"
    lines = run / "summary.jsonl"
    logger = recording(run, parts=10)

    def log_until(step: int) -> None:
        for each in range(1000, step + 11, 10):  # a line is written once a later step was logged
            logger.log(each, "train/loss", 1.0)
        logger.flush()
        wait_until(lambda: f'"step":{step},' in lines.read_text().replace(" ", ""), secs=60)

    wait_until(lambda: '"step":980,' in lines.read_text().replace(" ", ""), secs=60)
    assert "summary.jsonl" in sync_run(run, destination).copied
    log_until(1010)
    assert "summary.jsonl" not in sync_run(run, destination).copied
    log_until(4000)
    assert "summary.jsonl" in sync_run(run, destination).copied
    log_until(4050)
    logger.close()
    assert "summary.jsonl" in sync_run(run, destination).copied
    assert_is_copy(tmp_path / "copies" / "run-1", run)


def test_run_without_parquet_is_reported(tmp_path: Path, destination: Destination) -> None:
    with holter.Logger(tmp_path / "run", sinks=("sqlite",)) as logger:
        logger.log(0, "loss", 1.0)
    done = sync_run(tmp_path / "run", destination)
    assert [file.name for file in done.left_out] == ["metrics.sqlite"]
    assert "holter export" in done.left_out[0].reason


def test_ranks_on_different_machines_share_a_copy(run: Path, tmp_path: Path, destination, copy) -> None:
    """Catches one machine's sync that removes another's files."""
    other = tmp_path / "other-machine" / "run-1"
    other.mkdir(parents=True)
    (run / "rank-00001").rename(other / "rank-00001")
    sync_run(run, destination)
    sync_run(other, destination)
    assert (sync_run(run, destination).copied, sync_run(other, destination).copied) == ({}, {})
    (other / "rank-00001").rename(run / "rank-00001")
    assert_is_copy(copy, run)


def test_different_run_of_the_same_name_is_rejected(run: Path, tmp_path: Path, destination, copy) -> None:
    sync_run(run, destination)
    before = files_of(copy)
    shutil.rmtree(run)
    with holter.Logger(run) as logger:
        logger.log(0, "loss", 1.0)
    with pytest.raises(FileExistsError, match="copy of another run"):
        sync_run(run, destination)
    (copy / "holter-sync.json").unlink()
    with pytest.raises(FileExistsError, match="copy of another run"):
        sync_run(run, destination)
    assert {name: content for name, content in files_of(copy).items() if name != "holter-sync.json"} == before
    assert sync_run(run, destination, name="again/run-1").name == "again/run-1"
    assert_is_copy(tmp_path / "copies" / "again" / "run-1", run)


def test_run_is_not_copied_into_itself_or_onto_another_run(run: Path, tmp_path: Path) -> None:
    before = files_of(run)
    for folder in (run.parent, run.parent / "run-1" / "copies"):
        with pytest.raises(FileExistsError, match="into the run itself"):
            sync_run(run, Destination(str(folder)))
    (tmp_path / "link").symlink_to(run.parent)
    with pytest.raises(FileExistsError, match="into the run itself"):
        sync_run(run, Destination(f"file://{tmp_path}/link"))
    other = Path(shutil.copytree(run, tmp_path / "other" / "run-1"))
    with pytest.raises(FileExistsError, match="is a run, not a copy"):
        sync_run(run, Destination(str(other.parent)))
    assert files_of(run) == files_of(other) == before


def test_single_rank_is_rejected(run: Path, destination: Destination) -> None:
    with pytest.raises(ValueError, match="one rank of a run"):
        sync_run(run / "rank-00001", destination)


def test_copy_is_readable_at_any_moment(crashed: Path, tmp_path: Path, copy: Path, destination) -> None:
    """Catches a `run.json` that is copied before the parts it refers to."""
    run = Path(shutil.copytree(crashed, tmp_path / "run-1"))
    listings: list[set[str]] = []

    def check(*_: int) -> None:
        assert_no_partial_files(copy, run)
        listings.append(set(files_of(copy)))

    sync_run(run, destination, on_progress=check)
    assert len(listings) >= 10
    for prefix, parts in (("", 3), ("rank-00001/", 3)):
        for names in listings:
            if f"{prefix}run.json" in names:
                assert sum(name.startswith(f"{prefix}parquet/") for name in names) == parts
    assert_is_copy(copy, run)
