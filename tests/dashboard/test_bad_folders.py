"""Missing and unreadable folders, damaged runs, strange names, runs that disappear: reported, and other runs work."""

import json
import os
import shutil
import sqlite3

import pytest

import holter
from dashboard_client import RUNS, listed
from holter.dashboard.api._runs import RunFolder
from sample_runs import record_few


def test_missing_folder_is_reported_and_may_appear_later(root, open_client):
    client = open_client(root / "later")
    assert listed(client) == (
        [],
        {"later": "the folder does not exist yet; its runs appear here as soon as they exist"},
    )
    assert client.get("/").status_code == 200, "the page works without the folder"
    record_few(root / "later" / "a")
    assert listed(client) == (["a"], {})


def test_file_instead_of_a_folder_is_reported(root, open_client):
    (root / "notes.txt").write_text("no run")
    runs, problems = listed(open_client(root / "notes.txt"))
    assert runs == []
    assert "this is a file" in problems["notes.txt"]


def test_empty_folder_has_no_runs_and_no_problems(root, open_client):
    assert listed(open_client(root)) == ([], {})


@pytest.mark.skipif(os.geteuid() == 0, reason="root ignores permissions")
def test_unreadable_folder_is_reported(root, open_client):
    client = open_client(root)
    root.chmod(0)
    try:
        runs, problems = listed(client)
    finally:
        root.chmod(0o755)
    assert runs == []
    assert "cannot be read" in problems["runs"]


def test_any_error_from_the_folder_is_reported(root, open_client, monkeypatch):
    def fail(*arguments, **options):
        raise PermissionError(13, "Permission denied", str(root))

    monkeypatch.setattr(holter, "list_runs", fail)
    assert "the folder cannot be read: " in listed(open_client(root))[1]["runs"]


def test_unreadable_runs_do_not_hide_good_runs(root, open_client):
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
    assert "copied in part" in problems["rest"]
    assert "99" in problems["newer"]
    assert "newer" in problems["newer"]
    assert all(problems.values())


def test_run_without_a_database_has_no_series(root, open_client):
    record_few(root / "a")
    (root / "a" / "metrics.sqlite").unlink()
    shutil.rmtree(root / "a" / "parquet")
    client = open_client(root)
    assert client.get(RUNS).json()["runs"][0]["series"] == 0


def test_damaged_database_is_reported_and_other_runs_work(root, open_client):
    record_few(root / "a")
    record_few(root / "b")
    database = root / "a" / "metrics.sqlite"
    database.write_bytes(b"not a database" + database.read_bytes()[14:])
    client = open_client(root)
    runs, problems = listed(client)
    assert runs == ["b"]
    assert "a" in problems
    assert client.get("/api/v1/series?run=b").status_code == 200


def test_foreign_database_is_not_exposed(root, open_client):
    record_few(root / "a")
    (root / "a" / "metrics.sqlite").unlink()
    connection = sqlite3.connect(root / "a" / "metrics.sqlite")
    connection.execute("CREATE TABLE secrets (word TEXT)")
    connection.close()
    client = open_client(root)
    assert client.get("/api/v1/series?run=a").json()["series"] == []
    assert "secrets" not in client.get(RUNS).text


def edit_manifest(path, **changes) -> None:
    manifest = path / "run.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **changes}))


@pytest.mark.parametrize(
    "changes",
    [{"config": [1]}, {"attempts": "none"}, {"dropped": -5}, {"host": 7}, {"created": 5}, {"status": 7}],
    ids=lambda changes: next(iter(changes)),
)
def test_damaged_manifest_is_reported_and_other_runs_work(root, open_client, changes):
    edit_manifest(record_few(root / "a"), **changes)
    record_few(root / "b")
    runs, problems = listed(open_client(root))
    assert runs == ["b"]
    assert "damaged" in problems["a"]


def test_manifest_values_are_bounded(root, open_client):
    config: dict = {"depth": 0}
    for _ in range(60):
        config = {"deeper": config}
    edit_manifest(
        record_few(root / "a"),
        config={"lr": "nan", "list": [1, [2]], "deep": config, "long": "x" * 10_000, "none": None},
        tags=[1, {"a": 2}, "ok"],
        command_line={"a": 1},
        git=["<script>"] * 1000,
        versions="old",
    )
    response = open_client(root).get(RUNS)
    run = json.loads(response.text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))["runs"][0]
    assert run["config"]["lr"] == "nan"
    assert run["config"]["list"] == "[1, [2]]"
    assert len(run["config"]["long"]) == 2001
    assert max(map(len, run["config"])) <= 2000
    assert run["tags"] == ["1", '{"a": 2}', "ok"]
    assert run["command_line"] == []
    assert (run["git"], run["versions"]) == (None, None)


@pytest.mark.parametrize(("config", "expected"), [(None, {}), ({}, {}), ({"a": {}}, {"a": "{}"})])
def test_empty_config(root, open_client, config, expected):
    edit_manifest(record_few(root / "a"), config=config)
    assert open_client(root).get(RUNS).json()["runs"][0]["config"] == expected


# --- Names ---


def without_meta(figure):
    """Return a figure without `meta`, which plotly does not draw."""
    if isinstance(figure, dict):
        return {key: without_meta(inner) for key, inner in figure.items() if key != "meta"}
    return [without_meta(inner) for inner in figure] if isinstance(figure, list) else figure


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "n" * 10_000, "a/../../b", "=1+1", '"&\u2028\u202e', "step"]
)
def test_strange_series_name_is_returned_unchanged(root, open_client, name):
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
    assert "<script" not in json.dumps(without_meta(figure.json()["figures"][0]["figure"])), (
        "plotly interprets some tags"
    )


def test_strange_run_name_is_returned_unchanged(root, open_client):
    strange = "<img src=x onerror=alert(1)>"
    record_few(root / strange, name="<script>" + "x" * 5_000)
    response = open_client(root).get(RUNS)
    assert response.headers["content-type"] == "application/json"
    assert response.json()["runs"][0]["id"] == strange
    assert response.json()["runs"][0]["name"].startswith("<script>x")
    assert response.text.isascii()


def test_directory_name_that_is_not_unicode_has_a_unicode_id(root, open_client):
    odd = os.fsdecode(os.fsencode(root) + b"/caf\xe9")
    record_few(odd, name="cafe")
    client = open_client(root)
    runs, _ = listed(client)
    assert runs == [r"caf\xe9"]
    assert client.get("/api/v1/series", params={"run": runs[0]}).status_code == 200


# --- Runs that change while the dashboard is open ---


def test_deleted_run_is_gone_and_other_runs_work(root, open_client):
    record_few(root / "a")
    record_few(root / "b")
    client = open_client(root)
    assert listed(client)[0] == ["a", "b"]
    shutil.rmtree(root / "a")
    groups = [{"label": run, "runs": [run]} for run in "ab"]
    chart = {"key": "both", "kind": "line", "names": ["loss"], "groups": groups}
    for response in (
        client.get("/api/v1/series?run=a"),
        client.get("/api/v1/export.csv?run=a&name=loss"),
        client.get("/api/v1/overview?run=a"),
        client.post("/api/v1/table", json={"runs": ["a"], "names": ["loss"]}),
        client.post("/api/v1/figures", json={"charts": [{**chart, "groups": groups[:1]}]}),
        client.post("/api/v1/compare", json={"groups": groups[:1]}),
    ):
        assert response.status_code == 410
        assert response.json()["error"]["message"] == "run 'a' was deleted or moved while it was open"
    assert listed(client)[0] == ["b"]
    figure = client.post("/api/v1/figures", json={"charts": [chart]}).json()["figures"][0]
    assert "run 'a' was deleted" in figure["note"]
    assert figure["figure"]["data"], "the other run is drawn"
    assert list(figure["revision"]) == ["b"]


def test_deletion_is_noticed_before_the_next_scan(root, open_client):
    record_few(root / "a")
    client = open_client(root)
    folder = RunFolder(root, max_age_secs=3600.0)
    entry = folder.get("a")
    assert folder.listing() is folder.listing()
    shutil.rmtree(root / "a")
    assert folder.look_up(entry.id) == "run 'a' was deleted or moved while it was open"
    assert client.get("/api/v1/series?run=a").status_code == 404, "this server never listed it"


def test_run_recorded_again_has_a_new_etag(root, open_client):
    record_few(root / "a", points=3)
    client = open_client(root)
    before = client.get("/api/v1/series?run=a")
    shutil.rmtree(root / "a")
    record_few(root / "a", points=5)
    after = client.get("/api/v1/series?run=a", headers={"if-none-match": before.headers["etag"]})
    assert after.status_code == 200
    assert after.json()["series"][0][1] == 5


def test_run_that_becomes_unreadable_has_the_reason(root, open_client):
    record_few(root / "a")
    client = open_client(root)
    assert listed(client)[0] == ["a"]
    (root / "a" / "run.json").write_text("{")
    response = client.get("/api/v1/series?run=a")
    assert response.status_code == 410
    assert "cannot be read any more" in response.json()["error"]["message"]


def test_unknown_run_is_not_found(root, open_client):
    client = open_client(root)
    for run in ("a", "../runs/a", "/etc/passwd", "", ".", "..", "a\x00b", "x" * 1000):
        response = client.get("/api/v1/series", params={"run": run})
        assert response.status_code == 404
        assert len(response.json()["error"]["message"]) < 400
