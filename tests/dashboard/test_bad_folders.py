"""A folder that is missing, a file, unreadable or full of foreign files: said, and the good runs still shown."""

import json
import os
import shutil
import sqlite3

import pytest

import holter
from dashboard_client import RUNS, listed
from holter.dashboard.api._runs import RunFolder
from sample_runs import record_few


def test_a_folder_that_is_not_there_is_said_and_may_come(root, open_client):
    client = open_client(root / "later")
    assert listed(client) == ([], {"later": "there is no such folder yet; runs appear here as soon as there are any"})
    assert client.get("/").status_code == 200, "the page lives"
    record_few(root / "later" / "a")
    assert listed(client) == (["a"], {})


def test_a_file_is_no_folder(root, open_client):
    (root / "notes.txt").write_text("no run")
    runs, problems = listed(open_client(root / "notes.txt"))
    assert runs == []
    assert "this is a file" in problems["notes.txt"]


def test_an_empty_folder_has_no_runs_and_no_problem(root, open_client):
    assert listed(open_client(root)) == ([], {})


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_may_not_be_read_is_said(root, open_client):
    client = open_client(root)
    root.chmod(0)
    try:
        runs, problems = listed(client)
    finally:
        root.chmod(0o755)
    assert runs == []
    assert "cannot be read" in problems["runs"]


def test_a_folder_that_may_not_be_read_is_said_whatever_the_system_answers(root, open_client, monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied", str(root))

    monkeypatch.setattr(holter, "list_runs", refuse)
    assert "the folder cannot be read: " in listed(open_client(root))[1]["runs"]


def test_half_copied_newer_and_foreign_ones_hide_no_good_run(root, open_client):
    record_few(root / "good")
    for name, text in {"half": '{"format_vers', "empty": "", "newer": '{"format_version": 99}', "odd": "[1]"}.items():
        (root / name).mkdir()
        (root / name / "run.json").write_text(text)
    record_few(root / "rest")
    (root / "rest" / "run.json").unlink()
    (root / "photos").mkdir()
    (root / "photos" / "cat.jpg").write_bytes(b"\xff\xd8")
    (root / "readme.md").write_text("# hello")
    (root / ".git").mkdir()
    runs, problems = listed(open_client(root))
    assert runs == ["good"]
    assert set(problems) == {"half", "empty", "newer", "odd", "rest"}
    assert "copy the rest of the run" in problems["rest"]
    assert "99" in problems["newer"]
    assert "newer" in problems["newer"]
    assert all(problems.values())


def test_a_run_without_its_database_is_shown_without_series(root, open_client):
    record_few(root / "a")
    (root / "a" / "metrics.sqlite").unlink()
    shutil.rmtree(root / "a" / "parquet")
    client = open_client(root)
    assert client.get(RUNS).json()["runs"][0]["series"] == 0


def test_a_damaged_database_is_a_problem_and_the_next_run_is_served(root, open_client):
    record_few(root / "a")
    record_few(root / "b")
    database = root / "a" / "metrics.sqlite"
    database.write_bytes(b"not a database" + database.read_bytes()[14:])
    client = open_client(root)
    runs, problems = listed(client)
    assert runs == ["b"]
    assert "a" in problems
    assert client.get("/api/v1/series?run=b").status_code == 200


def test_nothing_of_a_database_with_foreign_tables_is_shown(root, open_client):
    record_few(root / "a")
    (root / "a" / "metrics.sqlite").unlink()
    connection = sqlite3.connect(root / "a" / "metrics.sqlite")
    connection.execute("CREATE TABLE secrets (word TEXT)")
    connection.close()
    client = open_client(root)
    assert client.get("/api/v1/series?run=a").json()["series"] == []
    assert "secrets" not in client.get(RUNS).text


def test_a_manifest_with_wrong_types_is_shown_without_them(root, open_client):
    path = record_few(root / "a") / "run.json"
    manifest = json.loads(path.read_text())
    config: dict = {"depth": 0}
    for _ in range(60):
        config = {"deeper": config}
    odd = {
        "config": {"lr": "nan", "list": [1, [2]], "deep": config, "long": "x" * 10_000, "n": 10**30, "none": None},
        "tags": [1, {"a": 2}, "ok"],
        "attempts": "none",
        "dropped": -5,
        "command_line": {"a": 1},
        "git": ["<script>"] * 1000,
        "host": 7,
        "versions": "old",
        "created": 5,
        "finished": ["never"],
    }
    path.write_text(json.dumps({**manifest, **odd}))
    response = open_client(root).get(RUNS)
    run = json.loads(response.text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))["runs"][0]
    assert run["config"]["lr"] == "nan"
    assert run["config"]["list"] == "[1, [2]]"
    assert len(run["config"]["long"]) == 2001
    assert run["config"]["n"] == str(10**30)
    assert max(key.count(".") for key in run["config"]) <= 10
    assert run["tags"] == ["1", '{"a": 2}', "ok"]
    assert (run["attempts"], run["dropped"], run["command_line"]) == ([], 0, [])
    assert len(run["git"]) == 200


@pytest.mark.parametrize("config", [[1], "text", 5, None, {"a": {}}])
def test_a_config_that_is_none_is_empty(root, open_client, config):
    path = record_few(root / "a") / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "config": config}))
    run = open_client(root).get(RUNS).json()["runs"][0]
    assert run["config"] == ({"a": "{}"} if isinstance(config, dict) else {})


# --- Names ---


def without_meta(figure):
    """A figure without what plotly never draws."""
    if isinstance(figure, dict):
        return {key: without_meta(inner) for key, inner in figure.items() if key != "meta"}
    return [without_meta(inner) for inner in figure] if isinstance(figure, list) else figure


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "n" * 10_000, "a/../../b", "=1+1", '"&\u2028\u202e', "step"]
)
def test_a_strange_series_is_given_back_to_the_letter_as_json(root, open_client, name):
    with holter.Logger(root / "a") as logger:
        logger.log(0, name, 1.0)
    client = open_client(root)
    response = client.get("/api/v1/series?run=a")
    assert response.headers["content-type"] == "application/json"
    assert response.json()["series"] == [[name, 1, 0, 0, 0, 1.0]]
    assert client.post("/api/v1/table", json={"runs": ["a"], "names": [name]}).json()["total"] == 1
    groups = [{"label": name, "runs": ["a"]}]
    chart = {"key": name, "kind": "line", "names": [name], "groups": groups, "title": name}
    figure = client.post("/api/v1/figures", json={"charts": [chart]})
    assert figure.headers["content-type"] == "application/json"
    assert "error" not in figure.json()["figures"][0]
    assert figure.json()["figures"][0]["key"] == name
    assert "<script" not in json.dumps(without_meta(figure.json()["figures"][0]["figure"])), "plotly reads some tags"


def test_a_strange_run_is_named_to_the_letter(root, open_client):
    strange = "<img src=x onerror=alert(1)>"
    record_few(root / strange, name="<script>" + "x" * 5_000)
    response = open_client(root).get(RUNS)
    assert response.headers["content-type"] == "application/json"
    assert response.json()["runs"][0]["id"] == strange
    assert response.json()["runs"][0]["name"].startswith("<script>x")
    assert response.text.isascii()


def test_a_directory_whose_name_is_no_unicode_has_an_id_that_is(root, open_client):
    odd = os.fsdecode(os.fsencode(root) + b"/caf\xe9")
    record_few(odd, name="cafe")
    client = open_client(root)
    runs, _ = listed(client)
    assert runs == [r"caf\xe9"]
    assert client.get("/api/v1/series", params={"run": runs[0]}).status_code == 200


# --- What becomes of a run while it is open ---


def test_a_deleted_run_is_gone_and_the_others_live(root, open_client):
    record_few(root / "a")
    record_few(root / "b")
    client = open_client(root)
    assert listed(client)[0] == ["a", "b"]
    shutil.rmtree(root / "a")
    groups = [{"label": run, "runs": [run]} for run in "ab"]
    chart = {"key": "both", "kind": "line", "names": ["loss"], "groups": groups}
    for answer in (
        client.get("/api/v1/series?run=a"),
        client.get("/api/v1/export.csv?run=a&name=loss"),
        client.get("/api/v1/overview?run=a"),
        client.post("/api/v1/table", json={"runs": ["a"], "names": ["loss"]}),
        client.post("/api/v1/figures", json={"charts": [{**chart, "groups": groups[:1]}]}),
        client.post("/api/v1/compare", json={"groups": groups[:1]}),
    ):
        assert answer.status_code == 410
        assert answer.json()["error"]["message"] == "run 'a' was deleted or moved while it was open"
    assert listed(client)[0] == ["b"]
    figure = client.post("/api/v1/figures", json={"charts": [chart]}).json()["figures"][0]
    assert "run 'a' was deleted" in figure["note"]
    assert figure["figure"]["data"], "what is left is drawn"
    assert list(figure["revision"]) == ["b"]


def test_a_deleted_run_is_noticed_before_the_next_scan(root, open_client):
    record_few(root / "a")
    client = open_client(root)
    folder = RunFolder(root, max_age_secs=3600.0)
    entry = folder.get("a")
    assert folder.listing() is folder.listing()
    shutil.rmtree(root / "a")
    assert folder.look_up(entry.id) == "run 'a' was deleted or moved while it was open"
    assert client.get("/api/v1/series?run=a").status_code == 404, "this server has never seen it"


def test_a_run_that_is_recorded_anew_is_another_one(root, open_client):
    record_few(root / "a", points=3)
    client = open_client(root)
    before = client.get("/api/v1/series?run=a")
    shutil.rmtree(root / "a")
    record_few(root / "a", points=5)
    after = client.get("/api/v1/series?run=a", headers={"if-none-match": before.headers["etag"]})
    assert after.status_code == 200
    assert after.json()["series"][0][1] == 5


def test_a_run_that_becomes_unreadable_says_why(root, open_client):
    record_few(root / "a")
    client = open_client(root)
    assert listed(client)[0] == ["a"]
    (root / "a" / "run.json").write_text("{")
    answer = client.get("/api/v1/series?run=a")
    assert answer.status_code == 410
    assert "cannot be read any more" in answer.json()["error"]["message"]


def test_a_run_that_was_never_there_is_not_found(root, open_client):
    client = open_client(root)
    for run in ("a", "../runs/a", "/etc/passwd", "", ".", "..", "a\x00b", "x" * 1000):
        answer = client.get("/api/v1/series", params={"run": run})
        assert answer.status_code == 404
        assert len(answer.json()["error"]["message"]) < 400
