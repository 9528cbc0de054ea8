"""A run is resumed as it was left, by one process at a time."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import holter
import run_files


def log(run: Path, steps: range, value: float, **settings) -> None:
    settings = {"resume": "allow", **settings}
    with holter.Logger(run, journal_points=1 << 10, summary_every=5, **settings) as logger:
        for step in steps:
            logger.log(step, "loss", value)


def test_resume_modes_never_allow_and_must(run_dir: Path) -> None:
    with pytest.raises(FileNotFoundError, match="does not contain a run"):
        log(run_dir, range(5), 1.0, resume="must")
    assert not run_dir.exists()
    log(run_dir, range(5), 1.0, resume="never")
    with pytest.raises(FileExistsError, match='already contains a run; pass resume="allow" to resume it'):
        log(run_dir, range(5), 2.0, resume="never")
    log(run_dir, range(5, 10), 3.0, resume="allow")
    log(run_dir, range(10, 15), 4.0, resume="must")
    log(run_dir, range(15, 20), 5.0, resume="allow")
    expected = {("loss", step): (1.0, 3.0, 4.0, 5.0)[step // 5] for step in range(20)}
    assert run_files.sqlite_points(run_dir) == expected
    assert run_files.parquet_points(run_dir) == expected


def test_a_script_that_runs_twice_records_into_two_directories(run_dir: Path) -> None:
    log(run_dir, range(5), 1.0, resume="auto", config={"lr": 0.1})
    first = {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file()}
    second = run_dir.with_name("run-1-2")
    message = rf"run-1 is complete, so this run records to {re.escape(str(second))}; pass resume=\"allow\" to extend it"
    with pytest.warns(holter.HolterWarning, match=message):
        log(run_dir, range(3), 2.0, resume="auto", config={"lr": 0.2})
    assert {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file()} == first
    assert run_files.sqlite_points(second) == {("loss", step): 2.0 for step in range(3)}
    assert run_files.manifest(second)["config"] == {"lr": 0.2}
    with pytest.warns(holter.HolterWarning, match="run-1-3"):
        log(run_dir, range(3), 3.0, resume="auto")


def test_an_interrupted_run_is_resumed_by_default(run_dir: Path) -> None:
    logger = holter.Logger(run_dir, journal_points=1 << 10)
    logger.log(0, "loss", 1.0)
    logger.close("interrupted")
    with holter.Logger(run_dir, journal_points=1 << 10) as logger:
        assert (logger.resumed, logger.last_step, logger.path) == (True, 0, run_dir)
        logger.log(1, "loss", 2.0)
    assert run_files.sqlite_points(run_dir) == {("loss", 0): 1.0, ("loss", 1): 2.0}


@pytest.mark.parametrize("sinks", [("sqlite", "parquet", "summary"), ("sqlite",), ("parquet", "summary")], ids="+".join)
def test_the_last_value_wins_across_attempts(run_dir: Path, sinks: tuple[str, ...]) -> None:
    log(run_dir, range(100), 1.0, sinks=sinks)
    log(run_dir, range(50, 150), 2.0, sinks=sinks)
    log(run_dir, range(75, 80), 3.0, sinks=sinks)
    expected = {("loss", step): 1.0 if step < 50 else 3.0 if 75 <= step < 80 else 2.0 for step in range(150)}
    if "sqlite" in sinks:
        assert run_files.sqlite_points(run_dir) == expected
        run_files.assert_database_is_intact(run_dir)
    if "parquet" in sinks:
        assert run_files.parquet_points(run_dir) == expected
        assert len(list((run_dir / "parquet").glob("*.parquet"))) == 1
    if "summary" in sinks:
        assert run_files.summary_points(run_dir) == {key: value for key, value in expected.items() if key[1] % 5 == 0}


def test_the_manifest_lists_every_attempt(run_dir: Path) -> None:
    log(run_dir, range(5), 1.0, config={"lr": 0.1}, tags=("first",), name="my run")
    first = run_files.manifest(run_dir)
    with pytest.warns(holter.HolterWarning, match=r"different config: lr: 0.1 -> 0.2"):
        logger = holter.Logger(run_dir, resume="must", journal_points=1 << 10, config={"lr": 0.2})
    with pytest.raises(ZeroDivisionError), logger:
        raise ZeroDivisionError
    program = (
        "import os, sys, holter; logger = holter.Logger(sys.argv[1]); logger.log(7, 'loss', 1); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", program, str(run_dir)], check=False)
    assert run_files.manifest(run_dir)["status"] == "running"
    with holter.Logger(run_dir, journal_points=1 << 10) as logger:
        assert (logger.recovered, logger.resumed, logger.last_step) == (1, True, 7)
        live = run_files.manifest(run_dir)
        assert (live["status"], live["finished"], live["pid"]) == ("running", None, os.getpid())
    last = run_files.manifest(run_dir)
    assert [attempt["status"] for attempt in last["attempts"]] == ["finished", "failed", "crashed", "finished"]
    for key in ("id", "created", "started_micros", "format_version", "rank"):
        assert last[key] == first[key]
    assert first["name"] == "my run"
    assert first["config"] == {"lr": 0.1}
    assert first["tags"] == ["first"]
    assert last["host"] == socket.gethostname()
    for attempt in last["attempts"]:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", attempt["started"])
        assert attempt["finished"] >= attempt["started"][:19]
        assert attempt["host"] == socket.gethostname()
    assert last["attempts"][0]["pid"] == os.getpid() != last["attempts"][2]["pid"]
    assert last["status"] == "finished"
    for key in ("command_line", "versions", "git"):
        assert key in last
    assert (last["config"], last["tags"]) == ({"lr": 0.2}, ["first"])  # from the last attempt that passed any


def test_a_second_writer_is_rejected_with_the_process_and_host_of_the_first(run_dir: Path) -> None:
    program = "import sys, holter; holter.Logger(sys.argv[1], resume='allow', journal_points=1024)"
    with holter.Logger(run_dir, journal_points=1 << 10) as logger:
        logger.log(0, "loss", 1.0)
        for attempt in (
            lambda: holter.Logger(run_dir, journal_points=1 << 10),
            lambda: holter._core.recover(str(run_dir)),
        ):
            with pytest.raises(holter.StoreError, match="is being written by this process"):
                attempt()
        message = f"is being written by process {os.getpid()} on {re.escape(socket.gethostname())}"
        done = subprocess.run(
            [sys.executable, "-c", program, str(run_dir)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert re.search(f"StoreError: .*{message}", done.stderr)
        logger.log(1, "loss", 1.0)
    done = subprocess.run([sys.executable, "-c", program, str(run_dir)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(run_files.sqlite_points(run_dir)) == 2


def test_a_newer_format_is_rejected_and_not_changed(run_dir: Path) -> None:
    log(run_dir, range(5), 1.0)
    manifest = run_files.manifest(run_dir)
    newer = {**manifest, "format_version": holter._core.FORMAT_VERSION + 1}
    text = json.dumps(newer)
    (run_dir / "run.json").write_text(text)
    before = {path: path.stat().st_mtime_ns for path in run_dir.rglob("*") if path.is_file()}
    known = holter._core.FORMAT_VERSION
    message = f"format version {known + 1}, and this version of Holter supports up to {known}"
    for attempt in (lambda: holter.Logger(run_dir), lambda: holter._core.recover(str(run_dir))):
        with pytest.raises(holter.FormatVersionError, match=message):
            attempt()
    assert {path: path.stat().st_mtime_ns for path in run_dir.rglob("*") if path.is_file()} == before
    (run_dir / "run.json").write_text(json.dumps(manifest))
    connection = run_files.database(run_dir)
    connection.execute(f"PRAGMA user_version = {holter._core.FORMAT_VERSION + 1}")
    connection.close()
    with pytest.raises(holter.FormatVersionError, match=r"metrics\.sqlite"):
        holter.Logger(run_dir, resume="must")


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "run.json is damaged"), ("[]", "run.json is damaged"), ("{}", "no format version"), ("{", "damaged")],
)
def test_a_run_with_a_damaged_manifest_is_rejected_and_not_overwritten(
    run_dir: Path, content: str, message: str
) -> None:
    log(run_dir, range(5), 1.0)
    (run_dir / "run.json").write_text(content)
    with pytest.raises(holter.StoreError, match=message):
        holter.Logger(run_dir)
    assert len(run_files.sqlite_points(run_dir)) == 5


def test_a_resume_with_other_sinks_is_rejected(run_dir: Path) -> None:
    """A sink that is added later would lack the earlier points."""
    log(run_dir, range(5), 1.0, sinks=("sqlite", "summary"))
    for sinks in (("parquet",), ("sqlite", "parquet")):
        with pytest.raises(ValueError, match="was recorded with sinks"):
            log(run_dir, range(5), 1.0, sinks=sinks)
    log(run_dir, range(5, 10), 1.0, sinks=("sqlite",))
    assert len(run_files.sqlite_points(run_dir)) == 10


def test_a_journal_of_another_size_is_recovered(run_dir: Path) -> None:
    for index, points in enumerate((1 << 12, 1 << 10, 1 << 16)):
        program = (
            "import os, sys, holter\nlogger = holter.Logger(sys.argv[1], journal_points=int(sys.argv[2]))\n"
            f"for step in range(900): logger.log(step, 'loss/{index}', step / 2)\nos.kill(os.getpid(), 9)"
        )
        subprocess.run([sys.executable, "-c", program, str(run_dir), str(points)], check=False)
    with holter.Logger(run_dir, journal_points=1 << 11):
        pass
    expected = {(f"loss/{index}", step): step / 2 for index in range(3) for step in range(900)}
    assert run_files.sqlite_points(run_dir) == expected
    assert run_files.parquet_points(run_dir) == expected


def test_ranks_write_concurrently_to_separate_directories(run_dir: Path) -> None:
    loggers = [holter.Logger(run_dir, rank=rank, journal_points=1 << 10) for rank in range(3)]
    for rank, logger in enumerate(loggers):
        logger.log(0, "loss", float(rank))
    for logger in loggers:
        logger.close()
    for rank, logger in enumerate(loggers):
        path = run_dir if rank == 0 else run_dir / f"rank-{rank:05}"
        assert Path(logger.path) == path
        assert run_files.manifest(path)["rank"] == rank
        assert run_files.manifest(path)["name"] == run_dir.name
        assert run_files.sqlite_points(path) == {("loss", 0): float(rank)}
