"""`holter doctor`: each thing that can be wrong is found, with how bad it is and the way out."""

import datetime as dt
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import holter
from holter.cli.commands.doctor.checks import environment, folder

CRASH = """if True:
    import os, sys, holter
    logger = holter.Logger(sys.argv[1], journal_points=1 << 10)
    logger.log(0, "loss", 1.0)
    os._exit(9)
"""


def findings(result, severity=None) -> dict[str, dict]:
    document = json.loads(result.stdout)
    assert set(document) == {"path", "num_problems", "findings"}
    for finding in document["findings"]:
        assert set(finding) == {"run", "check", "severity", "text", "way_out"}
        assert finding["way_out"] or finding["severity"] in ("ok", "note")
    problems = [one for one in document["findings"] if one["severity"] == "problem"]
    assert document["num_problems"] == len(problems)
    assert (result.status == 1) == bool(problems)
    return {one["check"]: one for one in document["findings"] if severity is None or one["severity"] == severity}


def manifest_with(path: Path, **changes) -> None:
    manifest = json.loads((path / "run.json").read_text())
    (path / "run.json").write_text(json.dumps({**manifest, **changes}))


def test_a_run_in_order(runs, invoke):
    result = invoke("doctor", "prose", "--json")
    found = findings(result)
    assert {one["severity"] for one in found.values()} <= {"ok", "note"}
    assert found["readable"]["text"] == "it can be read, format 1: 4,206 points of 15 series"
    assert found["parquet"]["text"] == "4,206 rows in 1 Parquet file: as many as there are points"
    assert found["dropped"]["severity"] == found["non-finite"]["severity"] == found["status"]["severity"] == "ok"
    text = invoke("doctor", "prose")
    assert text.stdout.splitlines()[-1] == "1 run looked at: all in order"
    assert f"holter {holter.__version__}, Python " in text.stdout


def test_a_folder_shows_what_is_not_in_order(runs, invoke):
    result = invoke("doctor")
    assert result.status == 0
    assert "2 series have a NaN or an infinity: =HYPERLINK(1) (1), grad_norm_total (1)" in result.stdout
    assert "`holter plot runs/code NAME`" in result.stdout
    assert "runs/prose" not in result.stdout
    assert "2 runs looked at: problems 0, warnings 1" in result.stdout
    assert "runs/prose" in invoke("doctor", "--verbose").stdout


def test_a_run_that_is_being_recorded(tmp_path, invoke):
    with holter.Logger("runs/live", journal_points=1 << 10) as logger:
        logger.log(0, "loss", 1.0)
        found = findings(invoke("doctor", "live", "--json"))
        assert found["status"]["text"].startswith("it is being recorded; the last point came ")
        assert found["parquet"]["severity"] == "ok"
        assert "journal" not in found


def test_a_live_run_from_which_nothing_comes(tmp_path, invoke, monkeypatch):
    from holter.cli.commands.doctor.checks import run as checks

    monkeypatch.setattr(checks, "SILENT_SECS", -1)
    with holter.Logger("runs/live", journal_points=1 << 10) as logger:
        logger.log(0, "loss", 1.0)
        status = findings(invoke("doctor", "live", "--json"))["status"]
    assert status["severity"] == "warning"
    assert "it is being recorded, but the last point is" in status["text"]
    assert str(os.getpid()) in status["way_out"]


def test_what_a_crash_left_and_what_recover_makes_of_it(tmp_path, invoke):
    done = subprocess.run([sys.executable, "-c", CRASH, "runs/crashed"], cwd=tmp_path, timeout=60, check=False)
    assert done.returncode == 9
    (tmp_path / "runs/crashed/parquet").mkdir(exist_ok=True)
    (tmp_path / "runs/crashed/parquet/part-000000.parquet.tmp").write_bytes(b"half")
    before = findings(invoke("doctor", "crashed", "--json"))
    assert before["status"]["severity"] == before["journal"]["severity"] == before["parquet"]["severity"] == "warning"
    assert "process" in before["status"]["text"]
    for check in ("status", "journal", "parquet"):
        assert "`holter recover runs/crashed`" in before[check]["way_out"]
    assert "part-000000.parquet.tmp" in before["unfinished"]["text"]
    assert invoke("recover", "crashed").stdout == "runs/crashed: 1 points recovered from the journal\n"
    after = findings(invoke("doctor", "crashed", "--json"))
    assert after["status"]["severity"] == "note"
    assert after["status"]["text"] == "it crashed and has been brought into order"
    assert "journal" not in after
    assert after["parquet"]["severity"] == "ok"


def test_points_that_were_dropped(runs, invoke):
    manifest_with(runs / "prose", dropped=1234)
    found = findings(invoke("doctor", "prose", "--json"), "problem")
    assert found["dropped"]["text"] == "1,234 points were dropped: the disk could not take them"
    assert "overflow=BLOCK" in found["dropped"]["way_out"]


def test_parquet_that_lacks_points(runs, invoke):
    import pyarrow.parquet

    (part,) = (runs / "prose" / "parquet").glob("*.parquet")
    pyarrow.parquet.write_table(pyarrow.parquet.read_table(part).slice(1), part)
    found = findings(invoke("doctor", "prose", "--json"), "problem")
    assert found["parquet"]["text"] == "4,205 rows in 1 Parquet file, but the run has 4,206 points"
    assert "holter export" in found["parquet"]["way_out"]
    part.write_bytes(b"PAR1 nonsense")
    found = findings(invoke("doctor", "prose", "--json"), "problem")
    assert found["parquet"]["text"] == f"damaged Parquet files: {part.name}"


def test_parquet_files_that_overlap(runs, invoke):
    (part,) = (runs / "prose" / "parquet").glob("*.parquet")
    shutil.copy(part, part.with_name("part-000009.parquet"))
    found = findings(invoke("doctor", "prose", "--json"))
    assert found["parquet"]["severity"] == "note"
    assert "8,412 rows in 2 Parquet files for 4,206 points" in found["parquet"]["text"]


def test_without_pyarrow_it_says_what_was_not_looked_at(runs, invoke, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    found = findings(invoke("doctor", "prose", "--json"))
    assert found["parquet"]["severity"] == "note"
    assert "pip install 'holter[arrow]'" in found["parquet"]["way_out"]


def test_a_run_without_parquet_is_not_asked_for_it(tmp_path, invoke):
    with holter.Logger("runs/sqlite", sinks=("sqlite",), journal_points=1 << 10) as logger:
        logger.log(0, "loss", 1.0)
    assert "parquet" not in findings(invoke("doctor", "sqlite", "--json"))


def test_a_damaged_journal_that_was_put_aside(runs, invoke):
    (runs / "prose" / "journal.damaged").write_bytes(b"?")
    found = findings(invoke("doctor", "prose", "--json"), "problem")
    assert "a damaged journal was put aside: journal.damaged" in found["journal"]["text"]


def test_a_journal_on_another_machine(runs, invoke):
    changes = {"journal_note": "the directory is on nfs", "journal": "/var/tmp/x", "host": "gpu-7", "status": "running"}
    manifest_with(runs / "prose", **changes)
    journal = findings(invoke("doctor", "prose", "--json"))["journal"]
    assert "its journal is elsewhere (/var/tmp/x): the directory is on nfs" in journal["text"]
    assert "on gpu-7, where the journal is" in journal["way_out"]


def test_a_clock_that_is_wrong(runs, invoke):
    path = runs / "prose" / "run.json"
    tomorrow = dt.datetime.now(dt.timezone.utc) + dt.timedelta(days=1)
    micros = int(tomorrow.timestamp() * 1e6)
    path.write_text(json.dumps({**json.loads(path.read_text()), "started_micros": micros}))
    clock = findings(invoke("doctor", "prose", "--json"))["clock"]
    assert clock["severity"] == "warning"
    assert "it was begun in the future" in clock["text"]


def test_attempts_and_ranks(tmp_path, invoke):
    for rank in (0, 0, 1):
        with holter.Logger("runs/many", rank=rank, journal_points=1 << 10) as logger:
            logger.log(0, "loss", 1.0)
    manifest_with(tmp_path / "runs/many/rank-00001", dropped=2)
    document = json.loads(invoke("doctor", "many", "--json").stdout)
    by_run = {(one["run"], one["check"]): one for one in document["findings"]}
    assert by_run["runs/many", "attempts"]["text"] == "it was resumed: 2 attempts, 0 of them crashed"
    assert by_run["runs/many", "dropped"]["severity"] == "ok"
    assert by_run["runs/many/rank-00001", "dropped"]["severity"] == "problem"


def test_every_unreadable_run_of_a_folder_is_a_problem(runs, invoke):
    (runs / "half").mkdir()
    (runs / "half" / "run.json").write_text("{")
    with sqlite3.connect(runs / "code" / "metrics.sqlite") as connection:
        connection.execute("ALTER TABLE series RENAME TO gone")
    connection.close()
    document = json.loads(invoke("doctor", "--json").stdout)
    problems = {one["run"]: one["text"] for one in document["findings"] if one["severity"] == "problem"}
    assert set(problems) == {"runs/half", "runs/code"}
    assert "damaged" in problems["runs/half"]


def test_an_empty_folder(tmp_path, invoke):
    (tmp_path / "runs").mkdir()
    found = findings(invoke("doctor", "--json"))
    assert found["runs"]["text"] == "runs holds no runs"


@pytest.mark.parametrize(
    ("free", "severity"), [(10_000_000_000, "ok"), (999_999_999, "warning"), (49_999_999, "problem")]
)
def test_space(free, severity, tmp_path, monkeypatch):
    monkeypatch.setattr(folder.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1 << 40, 0, free))
    (space,) = (one for one in folder.check_folder(tmp_path) if one.check == "space")
    assert space.severity.value == severity
    assert (space.way_out == "") == (severity == "ok")


MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw
40 22 0:35 / /data rw - nfs4 server:/export rw
41 40 0:36 / /data/with\\040space rw,nosuid - fuse.sshfs me@there:/ rw
nonsense
"""


@pytest.mark.parametrize(
    ("path", "kind"), [("/tmp", "ext4"), ("/data", "nfs4"), ("/data/with space/x", "fuse.sshfs"), ("/database", "ext4")]
)
def test_kind_of_file_system(path, kind, tmp_path, monkeypatch):
    table = tmp_path / "mountinfo"
    table.write_text(MOUNTS)
    monkeypatch.setattr(folder, "MOUNTS", table)
    (found,) = folder._kind(Path(path))
    assert kind in found.text
    assert found.severity.value == ("ok" if kind == "ext4" else "note")
    table.unlink()
    assert folder._kind(Path(path)) == []


def test_extras_that_are_not_installed(monkeypatch):
    monkeypatch.setattr(environment, "_version", lambda package: None if package == "ruptures" else "1.0")
    (note,) = (one for one in environment.check_environment() if one.severity.value == "note")
    assert note.text == "not installed: analysis"
    assert "pip install 'holter[analysis]'" in note.way_out


def test_extras_are_those_of_the_project():
    """Catches an extra that gets another package in pyproject.toml alone."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    import re

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    declared = project["project"]["optional-dependencies"]
    for extra, packages in environment.EXTRAS.items():
        assert set(packages) <= {re.split(r"[<>=~ ]", one)[0] for one in declared[extra]}


def test_nothing_is_changed(runs, invoke):
    def state():
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in runs.rglob("*") if path.is_file()}

    before = state()
    invoke("doctor")
    assert state() == before


def test_on_a_terminal_severities_are_coloured(runs, terminal):
    session = terminal("doctor", "code")
    session.finish()
    assert session.process.returncode == 0
    assert "\x1b[33m  warning\x1b[0m" in session.text


def test_a_log_that_a_reader_keeps_from_being_emptied(tmp_path, invoke):
    run = tmp_path / "run"
    with holter.Logger(run, journal_points=1 << 10) as logger:
        logger.log(0, "loss", 1.0)
        logger.flush()
        assert "log" not in findings(invoke("doctor", str(run), "--json"))
        os.truncate(run / "metrics.sqlite-wal", 300 << 20)
        found = findings(invoke("doctor", str(run), "--json"), "warning")
        assert found["log"]["text"] == (
            "the database's write-ahead log has grown to 300 MB: a reader keeps a transaction open"
        )
        assert "fuser" in found["log"]["way_out"]
