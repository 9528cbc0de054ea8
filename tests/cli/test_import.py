"""`holter import`: other recorders' files as runs, unreadable lines reported, and no run overwritten."""

import json
import re
from pathlib import Path

import pytest

import holter

PLAIN = '{"step": 1, "loss": 0.5}\n{"step": 2, "loss": 0.25, "note": "x"}\n'


@pytest.fixture
def logs(tmp_path, monkeypatch):
    """A folder `./logs` with two runs in two formats."""
    monkeypatch.delenv("HOLTER_DIR", raising=False)
    for name, text in (("a/metrics.jsonl", PLAIN), ("b/c/metrics.csv", "step,loss\n1,0.5\n")):
        path = tmp_path / "logs" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    return tmp_path / "logs"


def test_every_source_in_a_folder_is_imported(logs, invoke):
    result = invoke("import", "logs")
    assert (result.status, result.stderr) == (0, "")
    assert result.stdout == "runs/a: 2 points in 1 series (skipped texts: 1)\nruns/b-c: 1 point in 1 series\n"
    assert [run.name for run in holter.list_runs("runs")] == ["a", "b/c"]
    assert holter.open_run("runs/a").series("loss").values.tolist() == [0.5, 0.25]


def test_unreadable_lines_are_reported_and_the_rest_is_imported(logs, invoke):
    (logs / "a" / "metrics.jsonl").write_text(PLAIN + "{bad\n" + "[]\n" * 200)
    result = invoke("import", "logs", "--into", "mine")
    assert result.status == 1
    reported = result.stderr.splitlines()
    assert reported[0].startswith("logs/a/metrics.jsonl, line 3: invalid JSON")
    assert reported[1] == "logs/a/metrics.jsonl, line 4: expected a JSON object, got []"
    assert reported[100] == "… and 101 more that cannot be read"
    assert len(reported) == 101
    assert len(holter.open_run("mine/a").series("loss")) == 2
    assert len(holter.open_run("mine/b-c").series("loss")) == 1


def test_a_failed_import_does_not_affect_the_others(logs, invoke):
    (logs / "a" / "metrics.csv").write_text("x,y\n1,2\n")
    (logs / "a" / "metrics.jsonl").unlink()
    (logs / "d").mkdir()
    (logs / "d" / "metrics.csv").write_text("")
    result = invoke("import", "logs")
    assert result.status == 1
    assert "Error: logs/a/metrics.csv was not imported: logs/a/metrics.csv has no column for the step" in result.stderr
    assert "Error: logs/d/metrics.csv contains no points; no run was created" in result.stderr
    assert sorted(path.name for path in Path("runs").iterdir()) == ["b-c"]


def test_json_document(logs, invoke):
    (logs / "a" / "metrics.jsonl").write_text(PLAIN + '{"step": 2, "loss": 1}\n[]\n')
    result = invoke("import", "logs/a", "--name", "first", "--json")
    assert result.status == 1
    assert json.loads(result.stdout) == {
        "runs": [
            {
                "path": "runs/first",
                "name": "first",
                "format": "jsonl",
                "num_points": 2,
                "num_series": 1,
                "num_replaced": 1,
                "num_unreadable": 1,
                "skipped": {"texts": 1},
            }
        ],
        "problems": [
            {"path": "logs/a/metrics.jsonl", "location": "line 4", "reason": "expected a JSON object, got []"}
        ],
    }


def test_nothing_is_imported_if_a_run_exists(logs, invoke):
    (logs.parent / "runs" / "b-c").mkdir(parents=True)
    result = invoke("import", "logs")
    assert result.status == 1
    assert "runs/b-c already exists\npass another --name, or another folder with --into" in result.stderr
    assert [path.name for path in Path("runs").iterdir()] == ["b-c"]


# The command line, the exit status, the cause and the hint.
ERRORS = [
    ("import", 2, "Missing argument 'PATH...'", "holter import --help"),
    ("import nowhere", 1, "no such file or directory: 'nowhere'", ""),
    ("import logs --format xls", 2, "'xls' is not one of", "'tfevents', 'jsonl', 'csv', 'neptune'"),
    ("import logs --name x", 1, "--name is for one run, but the PATHs contain 2: a, b/c", "omit it"),
    ("import logs --format neptune", 1, "logs contains no neptune file", "pass the file itself"),
    ("import logs/b/c logs/a/x.txt", 1, "the format of logs/a/x.txt is unknown", "--format tfevents|jsonl"),
    ("import logs/a logs/a/metrics.jsonl", 1, "would both be imported as runs/a", "one by one with --name"),
    ("import logs/empty", 1, "logs/empty contains no event file, metrics.jsonl, metrics.csv or Parquet", "--format"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error[0])
def test_errors_state_the_cause_and_a_hint(error, logs, invoke):
    command_line, status, cause, hint = error
    (logs / "empty").mkdir()
    (logs / "a" / "x.txt").write_text("hello")
    result = invoke(*command_line.split())
    assert result.status == status, result
    assert cause in result.stderr
    assert hint in result.stderr
    assert not Path("runs").exists()


def test_neptune_parquet_without_pyarrow(logs, invoke, monkeypatch):
    (logs / "x.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    result = invoke("import", "logs/x.parquet")
    assert result.status == 1
    assert "needs pyarrow, which is not installed\npip install 'holter[arrow]'" in result.stderr


def test_names_are_escaped(logs, invoke):
    (logs / "\x1b[31m").mkdir()
    (logs / "\x1b[31m" / "metrics.csv").write_text("step,loss\n1,0.5\nx,1\n")
    result = invoke("import", "logs")
    assert "\x1b" not in result.stdout + result.stderr
    assert "logs/\\x1b[31m/metrics.csv, line 3: the step must be an integer" in result.stderr


def test_a_large_file_shows_a_bar_on_a_terminal(tmp_path, monkeypatch, terminal):
    monkeypatch.chdir(tmp_path)
    pad = "x" * 200
    Path("large.jsonl").write_text(
        "".join(f'{{"step": {step}, "loss": 0.5, "pad": "{pad}"}}\n' for step in range(30_000))
    )
    session = terminal("import", "large.jsonl")
    session.finish()
    assert session.process.returncode == 0, session.text
    assert re.search(r"large .*\d/7\.\d MB", session.plain), session.plain
    assert "runs/large: 30,000 points in 1 series (skipped texts: 30,000)" in session.plain
