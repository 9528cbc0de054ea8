"""`holter ls`: readable runs, filtered and sorted, and the unreadable ones."""

import json

import pytest

import holter

HOSTILE_NAME = "\x1b[31mred\x07\u202eevil"  # logged by the fixture


def names(result) -> list[str]:
    return [run["name"] for run in json.loads(result.stdout)["runs"]]


def test_output_in_a_pipe_is_a_table_of_aligned_columns(runs, invoke):
    result = invoke("ls")
    assert result.status == 0
    assert result.stderr == ""
    header, prose, code = result.stdout.splitlines()
    assert header.split() == ["name", "status", "step", "series", "non-finite", "dropped", "loss", "updated"]
    assert prose.split()[:7] == ["prose", "finished", "299", "15", "0", "0", "1.15086"]
    assert code.split()[:7] == ["code", "finished", "299", "17", "2", "0", "2.15086"]
    assert prose.split()[7].endswith("Z")
    assert header.index("status") == prose.index("finished") == code.index("finished")


def test_json_has_all_keys_of_each_run(runs, invoke):
    document = json.loads(invoke("ls", "--json").stdout)
    assert set(document) == {"folder", "runs", "problems"}
    assert document["folder"] == "runs"
    assert document["problems"] == []
    first = document["runs"][0]
    run = holter.open_run(runs / "prose")
    assert first == {
        "name": "prose",
        "path": "runs/prose",
        "id": run.id,
        "status": "finished",
        "is_live": False,
        "created": first["created"],
        "finished": first["finished"],
        "last_point": first["last_point"],
        "first_step": 0,
        "last_step": 299,
        "num_series": 15,
        "num_nonfinite_series": 0,
        "num_points": 300 * 14 + 6,
        "dropped": 0,
        "num_attempts": 1,
        "tags": ["demo", "prose"],
        "group": None,
        "notes": None,
        "config": {"lr": 0.0003, "model.layers": 4, "seed": 0},
        "metric": {
            "name": "train/loss",
            "count": 300,
            "nonfinite_count": 0,
            "first_step": 0,
            "last_step": 299,
            "last_value": run.series("train/loss").last,
        },
    }
    assert first["created"] <= first["last_point"] <= first["finished"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ["prose", "code"]),
        (["--reverse"], ["code", "prose"]),
        (["--sort", "name"], ["code", "prose"]),
        (["--sort", "metric", "--reverse"], ["code", "prose"]),
        (["--sort", "points"], ["prose", "code"]),
        (["--tag", "demo"], ["prose", "code"]),
        (["--tag", "demo", "--tag", "code"], ["code"]),
        (["--name", "pro*"], ["prose"]),
        (["--config", "lr=3e-4"], ["prose"]),
        (["--config", "lr=0.0006", "--config", "model.layers=4"], ["code"]),
        (["--config", "lr=1"], []),
        (["--status", "finished"], ["prose", "code"]),
        (["--status", "running", "--status", "crashed"], []),
    ],
)
def test_runs_are_filtered_and_sorted(options, expected, runs, invoke):
    result = invoke("ls", "--json", *options)
    assert result.status == 0
    assert names(result) == expected


def test_the_metric_can_be_chosen(runs, invoke):
    result = invoke("ls", "--metric", "val/ppl")
    assert result.stdout.splitlines()[0].split()[6] == "val/ppl"
    assert [line.split()[6] for line in result.stdout.splitlines()[1:]] == ["17.5", "16.5"]
    missing = invoke("ls", "--metric", HOSTILE_NAME)
    assert "\x1b" not in missing.stdout
    assert [line.split()[6] for line in missing.stdout.splitlines()[1:]] == ["-", "-1.5"]


def test_no_matching_runs_are_reported(runs, invoke):
    result = invoke("ls", "--status", "failed")
    assert (result.status, result.stdout) == (0, "")
    assert "no matching runs: runs contains 2 runs" in result.stderr


def test_an_empty_folder_is_reported_but_not_an_error(tmp_path, invoke):
    (tmp_path / "runs").mkdir()
    result = invoke("ls")
    assert (result.status, result.stdout) == (0, "")
    assert "runs contains no runs yet\n`holter demo` records a first run" in result.stderr


def test_unreadable_runs_are_reported_and_the_others_listed(runs, invoke):
    """Catches a damaged run that hides the others, or is not reported."""
    for name, content in {"half": b"{", "newer": b'{"format_version": 99}', "foreign": b"[1]"}.items():
        (runs / name).mkdir()
        (runs / name / "run.json").write_bytes(content)
    (runs / "code" / "metrics.sqlite").write_bytes(b"no database" * 1000)
    (runs / "notes.txt").write_text("mine")
    result = invoke("ls")
    assert result.status == 1
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["name", "prose"]
    for name in ("half", "newer", "foreign", "code"):
        assert f"runs/{name} cannot be read: " in result.stderr
    document = json.loads(invoke("ls", "--json").stdout)
    assert [run["name"] for run in document["runs"]] == ["prose"]
    problems = {problem["path"]: problem["reason"] for problem in document["problems"]}
    assert set(problems) == {"runs/half", "runs/newer", "runs/foreign", "runs/code"}
    assert "upgrade" in problems["runs/newer"]


def test_a_manifest_with_wrong_types_is_shown_without_them(runs, invoke):
    """Catches a command that trusts the types in run.json."""
    path = runs / "prose" / "run.json"
    manifest = json.loads(path.read_text())
    odd = {"config": None, "tags": {"a": 1}, "attempts": [], "finished": "later", "host": None, "git": 3, "notes": []}
    path.write_text(json.dumps({**manifest, **odd, "command_line": "x", "versions": [2]}))
    assert invoke("ls").status == 0
    assert invoke("show", "prose").status == 0
    assert invoke("show", "prose", "--json").status == 0
    assert invoke("doctor", "prose").status == 0
    assert names(invoke("ls", "--json", "--config", "lr=3e-4")) == []


def test_a_terminal_gets_ages_and_colors(runs, terminal):
    session = terminal("ls")
    session.finish()
    assert session.process.returncode == 0
    assert "ago" in session.plain
    assert "\x1b[31m" in session.text, "counts of non-finite series are red"
    assert "│" not in session.text


def test_no_color_is_honored(runs, terminal):
    session = terminal("ls", NO_COLOR="1")
    session.finish()
    colors = [code for code in ("\x1b[31m", "\x1b[32m", "\x1b[36m") if code in session.text]
    assert colors == []


def test_holter_dir_is_the_default_folder(runs, invoke, monkeypatch):
    runs.rename("elsewhere")
    monkeypatch.setenv("HOLTER_DIR", "elsewhere")
    assert names(invoke("ls", "--json")) == ["prose", "code"]
    assert invoke("show", "prose").status == 0
