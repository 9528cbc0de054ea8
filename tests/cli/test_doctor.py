"""`holter doctor`: each problem is found, with its severity and a hint."""

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
        assert set(finding) == {"run", "check", "severity", "text", "hint"}
        assert finding["hint"] or finding["severity"] in ("ok", "note")
    problems = [finding for finding in document["findings"] if finding["severity"] == "problem"]
    assert document["num_problems"] == len(problems)
    assert (result.status == 1) == bool(problems)
    return {
        finding["check"]: finding
        for finding in document["findings"]
        if severity is None or finding["severity"] == severity
    }


def manifest_with(path: Path, **changes) -> None:
    manifest = json.loads((path / "run.json").read_text())
    (path / "run.json").write_text(json.dumps({**manifest, **changes}))


def test_a_healthy_run_has_no_problems(runs, invoke):
    result = invoke("doctor", "prose", "--json")
    found = findings(result)
    assert {finding["severity"] for finding in found.values()} <= {"ok", "note"}
    assert found["readable"]["text"] == "readable, format 1: 4,206 points in 15 series"
    assert found["parquet"]["text"] == "4,206 rows in 1 Parquet file, one for each point"
    assert found["dropped"]["severity"] == found["non-finite"]["severity"] == found["status"]["severity"] == "ok"
    text = invoke("doctor", "prose")
    assert text.stdout.splitlines()[-1] == "1 run checked: 0 problems, 0 warnings"
    assert f"holter {holter.__version__}, Python " in text.stdout


def test_a_folder_lists_only_runs_with_findings(runs, invoke):
    result = invoke("doctor")
    assert result.status == 0
    assert "2 series with NaN or infinite values: =HYPERLINK(1) (1), grad_norm_total (1)" in result.stdout
    assert "`holter plot runs/code NAME`" in result.stdout
    assert "runs/prose" not in result.stdout
    assert "2 runs checked: 0 problems, 1 warning" in result.stdout
    assert "runs/prose" in invoke("doctor", "--verbose").stdout


def test_a_live_run_is_ok(tmp_path, invoke):
    with holter.Logger("runs/live", journal_points=1 << 10) as logger:
        logger.log(0, "loss", 1.0)
        found = findings(invoke("doctor", "live", "--json"))
        assert found["status"]["text"].startswith("recording; the last point was logged ")
        assert found["parquet"]["severity"] == "ok"
        assert "journal" not in found


def test_a_silent_live_run_is_a_warning(tmp_path, invoke, monkeypatch):
    from holter.cli.commands.doctor.checks import run as checks

    monkeypatch.setattr(checks, "MAX_SILENCE_SECS", -1)
    with holter.Logger("runs/live", journal_points=1 << 10) as logger:
        logger.log(0, "loss", 1.0)
        status = findings(invoke("doctor", "live", "--json"))["status"]
    assert status["severity"] == "warning"
    assert "recording, but the last point is" in status["text"]
    assert str(os.getpid()) in status["hint"]


def test_a_crashed_run_before_and_after_recovery(tmp_path, invoke):
    done = subprocess.run([sys.executable, "-c", CRASH, "runs/crashed"], cwd=tmp_path, timeout=60, check=False)
    assert done.returncode == 9
    (tmp_path / "runs/crashed/parquet").mkdir(exist_ok=True)
    (tmp_path / "runs/crashed/parquet/part-000000.parquet.tmp").write_bytes(b"half")
    before = findings(invoke("doctor", "crashed", "--json"))
    assert before["status"]["severity"] == before["journal"]["severity"] == before["parquet"]["severity"] == "warning"
    assert "process" in before["status"]["text"]
    for check in ("status", "journal", "parquet"):
        assert "`holter recover runs/crashed`" in before[check]["hint"]
    assert "part-000000.parquet.tmp" in before["unfinished"]["text"]
    assert invoke("recover", "crashed").stdout == "runs/crashed: 1 point recovered from the journal\n"
    after = findings(invoke("doctor", "crashed", "--json"))
    assert after["status"]["severity"] == "note"
    assert after["status"]["text"] == "crashed and recovered"
    assert "journal" not in after
    assert after["parquet"]["severity"] == "ok"


def test_an_interrupted_run_is_noted(runs, invoke):
    manifest_with(runs / "prose", status="interrupted")
    status = findings(invoke("doctor", "prose", "--json"))["status"]
    assert (status["severity"], status["text"]) == ("note", "interrupted by a signal")


def test_dropped_points_are_a_problem(runs, invoke):
    manifest_with(runs / "prose", dropped=1234)
    found = findings(invoke("doctor", "prose", "--json"), "problem")
    assert found["dropped"]["text"] == "1,234 points dropped: the disk was full or too slow"
    assert "overflow=BLOCK" in found["dropped"]["hint"]


def test_missing_and_damaged_parquet_files_are_problems(runs, invoke):
    import pyarrow.parquet

    (part,) = (runs / "prose" / "parquet").glob("*.parquet")
    pyarrow.parquet.write_table(pyarrow.parquet.read_table(part).slice(1), part)
    found = findings(invoke("doctor", "prose", "--json"), "problem")
    assert found["parquet"]["text"] == "4,205 rows in 1 Parquet file, but the run has 4,206 points"
    assert "holter export" in found["parquet"]["hint"]
    part.write_bytes(b"PAR1 nonsense")
    found = findings(invoke("doctor", "prose", "--json"), "problem")
    assert found["parquet"]["text"] == f"damaged Parquet files: {part.name}"


def test_overlapping_parquet_files_are_a_note(runs, invoke):
    (part,) = (runs / "prose" / "parquet").glob("*.parquet")
    shutil.copy(part, part.with_name("part-000009.parquet"))
    found = findings(invoke("doctor", "prose", "--json"))
    assert found["parquet"]["severity"] == "note"
    assert "8,412 rows in 2 Parquet files for 4,206 points" in found["parquet"]["text"]


def test_without_pyarrow_parquet_files_are_not_checked(runs, invoke, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    found = findings(invoke("doctor", "prose", "--json"))
    assert found["parquet"]["severity"] == "note"
    assert "pip install 'holter[arrow]'" in found["parquet"]["hint"]


def test_a_run_without_parquet_sink_has_no_parquet_finding(tmp_path, invoke):
    with holter.Logger("runs/sqlite", sinks=("sqlite",), journal_points=1 << 10) as logger:
        logger.log(0, "loss", 1.0)
    assert "parquet" not in findings(invoke("doctor", "sqlite", "--json"))


def test_a_damaged_journal_is_a_problem(runs, invoke):
    (runs / "prose" / "journal.damaged").write_bytes(b"?")
    found = findings(invoke("doctor", "prose", "--json"), "problem")
    assert "a damaged journal was set aside as journal.damaged" in found["journal"]["text"]


def test_a_journal_on_another_machine_is_reported(runs, invoke):
    changes = {"journal_note": "the directory is on nfs", "journal": "/var/tmp/x", "host": "gpu-7", "status": "running"}
    manifest_with(runs / "prose", **changes)
    journal = findings(invoke("doctor", "prose", "--json"))["journal"]
    assert "the journal is outside the run's directory, at /var/tmp/x: the directory is on nfs" in journal["text"]
    assert "on gpu-7, where the journal is" in journal["hint"]


def test_a_start_in_the_future_is_a_warning(runs, invoke):
    path = runs / "prose" / "run.json"
    tomorrow = dt.datetime.now(dt.timezone.utc) + dt.timedelta(days=1)
    micros = int(tomorrow.timestamp() * 1e6)
    path.write_text(json.dumps({**json.loads(path.read_text()), "started_micros": micros}))
    clock = findings(invoke("doctor", "prose", "--json"))["clock"]
    assert clock["severity"] == "warning"
    assert "the start of the run is in the future" in clock["text"]


def test_attempts_and_ranks_are_checked(tmp_path, invoke):
    for rank in (0, 0, 1):
        with holter.Logger("runs/many", rank=rank, resume="allow", journal_points=1 << 10) as logger:
            logger.log(0, "loss", 1.0)
    manifest_with(tmp_path / "runs/many/rank-00001", dropped=2)
    document = json.loads(invoke("doctor", "many", "--json").stdout)
    by_run = {(finding["run"], finding["check"]): finding for finding in document["findings"]}
    assert by_run["runs/many", "attempts"]["text"] == "resumed: 2 attempts, of which 0 crashed"
    assert by_run["runs/many", "dropped"]["severity"] == "ok"
    assert by_run["runs/many/rank-00001", "dropped"]["severity"] == "problem"


def test_every_unreadable_run_of_a_folder_is_a_problem(runs, invoke):
    (runs / "half").mkdir()
    (runs / "half" / "run.json").write_text("{")
    with sqlite3.connect(runs / "code" / "metrics.sqlite") as connection:
        connection.execute("ALTER TABLE series RENAME TO gone")
    connection.close()
    document = json.loads(invoke("doctor", "--json").stdout)
    problems = {finding["run"]: finding["text"] for finding in document["findings"] if finding["severity"] == "problem"}
    assert set(problems) == {"runs/half", "runs/code"}
    assert "damaged" in problems["runs/half"]


def test_an_empty_folder_is_reported(tmp_path, invoke):
    (tmp_path / "runs").mkdir()
    found = findings(invoke("doctor", "--json"))
    assert found["runs"]["text"] == "runs contains no runs"


@pytest.mark.parametrize(
    ("free", "severity"), [(10_000_000_000, "ok"), (999_999_999, "warning"), (49_999_999, "problem")]
)
def test_severity_of_free_space(free, severity, tmp_path, monkeypatch):
    monkeypatch.setattr(folder.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1 << 40, 0, free))
    (space,) = (finding for finding in folder.check_folder(tmp_path) if finding.check == "space")
    assert space.severity.value == severity
    assert (space.hint == "") == (severity == "ok")


MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw
40 22 0:35 / /data rw - nfs4 server:/export rw
41 40 0:36 / /data/with\\040space rw,nosuid - fuse.sshfs me@there:/ rw
nonsense
"""


@pytest.mark.parametrize(
    ("path", "kind"), [("/tmp", "ext4"), ("/data", "nfs4"), ("/data/with space/x", "fuse.sshfs"), ("/database", "ext4")]
)
def test_network_file_systems_are_noted(path, kind, tmp_path, monkeypatch):
    table = tmp_path / "mountinfo"
    table.write_text(MOUNTS)
    monkeypatch.setattr(folder, "MOUNTS", table)
    (found,) = folder._kind(Path(path))
    assert kind in found.text
    assert found.severity.value == ("ok" if kind == "ext4" else "note")
    table.unlink()
    assert folder._kind(Path(path)) == []


def test_missing_extras_are_noted(monkeypatch):
    monkeypatch.setattr(environment, "_version", lambda package: None if package == "ruptures" else "1.0")
    (note,) = (finding for finding in environment.check_environment() if finding.severity.value == "note")
    assert note.text == "extras not installed: analysis"
    assert "pip install 'holter[analysis]'" in note.hint


def test_extras_match_pyproject():
    """Catches an extra that is changed in pyproject.toml only."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    import re

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    declared = project["project"]["optional-dependencies"]
    for extra, packages in environment.EXTRAS.items():
        assert set(packages) <= {re.split(r"[<>=~ ]", requirement)[0] for requirement in declared[extra]}


def test_doctor_changes_no_files(runs, invoke):
    def state():
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in runs.rglob("*") if path.is_file()}

    before = state()
    invoke("doctor")
    assert state() == before


def test_severities_are_colored_on_a_terminal(runs, terminal):
    session = terminal("doctor", "code")
    session.finish()
    assert session.process.returncode == 0
    assert "\x1b[33m  warning\x1b[0m" in session.text


def test_a_large_write_ahead_log_is_a_warning(tmp_path, invoke):
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
        assert "fuser" in found["log"]["hint"]
