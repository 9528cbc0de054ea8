"""What each address answers: series, tables, downloads, files, and the description of them all."""

import csv
import io
import json
import math
import re

import pytest

import holter
import sample_runs
from holter.dashboard import make_app
from holter.dashboard.http._cache import ByteCache
from openapi import check

API = "/api/v1"


# --- Series ---


def test_series_are_what_the_run_says(client, sample_root):
    answer = client.get(f"{API}/series?run=run-1")
    facts = holter.open_run(sample_root / "run-1").facts()
    words = {math.inf: "inf"}
    expected = [
        [f.name, f.count, f.nonfinite_count, f.first_step, f.last_step, words.get(f.last_value, f.last_value)]
        for f in facts
    ]
    assert answer.json()["series"] == expected
    assert answer.json()["revision"]


def test_series_are_sent_again_only_if_they_changed(client):
    first = client.get(f"{API}/series?run=run-1")
    second = client.get(f"{API}/series?run=run-1", headers={"if-none-match": first.headers["etag"]})
    assert (second.status_code, second.content) == (304, b"")
    assert second.headers["etag"] == first.headers["etag"]
    other = client.get(f"{API}/series?run=run-2", headers={"if-none-match": first.headers["etag"]})
    assert other.status_code == 200


def test_series_can_be_chosen_by_a_glob(client):
    answer = client.get(f"{API}/series", params={"run": "run-1", "pattern": "attention_entropy/layer_[0-2]"})
    assert [row[0] for row in answer.json()["series"]] == [f"attention_entropy/layer_{layer}" for layer in range(3)]


def test_new_points_make_a_new_revision(tmp_path, open_client):
    client = open_client(tmp_path)
    with holter.Logger(tmp_path / "a") as logger:
        logger.log(0, "loss", 1.0)
        first = client.get(f"{API}/series?run=a")
        logger.log(1, "loss", math.nan)
        second = client.get(f"{API}/series?run=a", headers={"if-none-match": first.headers["etag"]})
    assert second.status_code == 200
    assert second.json()["revision"] != first.json()["revision"]
    assert second.json()["series"] == [["loss", 2, 1, 0, 1, "nan"]]


# --- Table ---


def table(client, **content):
    answer = client.post(
        f"{API}/table", json={"runs": ["run-1", "run-2"], "names": ["val/ppl", "train/loss"], **content}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_table_has_every_point_a_page_at_a_time(client, sample_root):
    whole = []
    for page in range(10):
        found = table(client, limit=100, offset=100 * page)
        assert found["columns"] == ["run", "name", "step", "value", "timestamp"]
        assert found["total"] == 840
        assert len(found["rows"]) == min(100, max(0, 840 - 100 * page))
        whole += found["rows"]
    expected = [
        (run, name, int(step), float(value))
        for run in ("run-1", "run-2")
        for name in ("val/ppl", "train/loss")
        for points in [holter.open_run(sample_root / run).series(name)]
        for step, value in zip(points.steps, points.values, strict=True)
    ]
    assert [(run, name, step, float(value)) for run, name, step, value, _ in whole] == expected
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", row[4]) for row in whole)
    assert [row[3] for row in whole if row[1] == "train/loss" and row[2] == sample_runs.INF_STEP] == ["inf", "inf"]


def test_a_table_of_a_range_counts_and_shows_it_alone(client):
    found = table(client, names=["train/loss"], start=10, stop=20, limit=5, offset=8)
    assert found["total"] == 20
    assert [(row[0], row[2]) for row in found["rows"]] == [
        ("run-1", 18),
        ("run-1", 19),
        ("run-2", 10),
        ("run-2", 11),
        ("run-2", 12),
    ]
    assert table(client, start=5, stop=5)["total"] == 0


def test_a_name_that_a_run_lacks_has_no_rows(client):
    assert table(client, names=["nowhere", "val/ppl"], limit=1)["total"] == 40


# --- Downloads ---


def test_points_are_downloaded_as_csv(client, sample_root):
    answer = client.get(f"{API}/export.csv?run=run-1&name=train/loss&name=nowhere&name=val/ppl")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="run-1.csv"'
    header, *rows = csv.reader(io.StringIO(answer.text))
    assert header == ["run", "name", "step", "value", "timestamp"]
    points = holter.open_run(sample_root / "run-1").series("train/loss")
    assert [float(row[3]) for row in rows if row[1] == "train/loss"] == points.values.tolist()
    assert len(rows) == 400 + 20


def test_a_spreadsheet_takes_no_name_for_a_formula(tmp_path, open_client):
    formulas = ['=HYPERLINK("http://evil")', "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"]
    with holter.Logger(tmp_path / "=run") as logger:
        for name in (*formulas, "fine=1"):
            logger.log(0, name, -1.5)
    client = open_client(tmp_path)
    answer = client.get(f"{API}/export.csv", params={"run": "=run", "name": [*formulas, "fine=1"]})
    _, *rows = csv.reader(io.StringIO(answer.text, newline=""))
    assert [row[1] for row in rows] == [*(f"'{name}" for name in formulas), "fine=1"]
    assert {row[0] for row in rows} == {"'=run"}
    assert {row[3] for row in rows} == {"-1.5"}, "a number stays one"
    assert answer.headers["content-disposition"] == 'attachment; filename="run.csv"'


@pytest.mark.parametrize(
    ("name", "expected"), [("../../etc/passwd", "etc_passwd"), ('a"; x="', "a_x"), ("ü\r\nx: y", "x_y"), ("...", "run")]
)
def test_a_download_has_a_harmless_name(tmp_path, open_client, name, expected):
    with holter.Logger(tmp_path / "a", name=name) as logger:
        logger.log(0, "loss", 1.0)
    answer = open_client(tmp_path).head(f"{API}/export.csv?run=a&name=loss")
    assert answer.headers["content-disposition"] == f'attachment; filename="{expected}.csv"'


def test_a_report_is_downloaded_as_one_file(client):
    answer = client.get(f"{API}/report.html?run=run-1&run=run-2")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == 'attachment; filename="run-1-report.html"'
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.text.lower().startswith("<!doctype html>")
    assert "grad_norm_total" in answer.text


# --- Files ---


def test_the_page_and_its_files_come_from_memory(client, monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("a file is opened for a request")

    monkeypatch.setattr("pathlib.Path.open", refuse)
    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    monkeypatch.setattr("builtins.open", refuse)
    assert client.get("/").headers["content-type"] == "text/html; charset=utf-8"
    for name, kind in {
        "plotly.min.js": "text/javascript; charset=utf-8",
        "index.html": "text/html; charset=utf-8",
    }.items():
        assert client.get(f"/static/{name}").headers["content-type"] == kind


def test_a_file_is_compressed_and_sent_once(client):
    plain = client.get("/static/plotly.min.js", headers={"accept-encoding": "identity"})
    small = client.get("/static/plotly.min.js", headers={"accept-encoding": "br, gzip;q=0.8"})
    assert "content-encoding" not in plain.headers
    assert small.headers["content-encoding"] == "gzip"
    assert int(small.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    assert small.content == plain.content
    etag = plain.headers["etag"]
    for known in (etag, f'"other", W/{etag}'):
        again = client.get("/static/plotly.min.js", headers={"if-none-match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)


def test_a_head_is_answered_without_a_body(client):
    for path in ("/", "/static/plotly.min.js", f"{API}/runs", f"{API}/live", f"{API}/export.csv?run=run-1&name=lr"):
        answer = client.head(path)
        assert (answer.status_code, answer.content) == (200, b""), path


def test_without_plotly_it_is_said_how_to_get_it(sample_root, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'holter\[serve\]'"):
        make_app(sample_root)


# --- The description ---


def test_every_address_is_described_and_every_description_has_an_address(sample_root, client):
    described = {
        (method.upper(), path)
        for path, item in client.get(f"{API}/openapi.json").json()["paths"].items()
        for method in item
    }
    app = make_app(sample_root)
    routes = {(method, route.path) for route in app._guarded._app.routes for method in route.methods - {"HEAD"}}
    assert described == routes
    assert {method for method, _ in routes} == {"GET", "POST"}


def test_answers_are_as_described(client):
    document = client.get(f"{API}/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    chart = {
        "key": "a",
        "kind": "line",
        "names": ["train/loss"],
        "groups": [{"label": "run-1", "runs": ["run-1"], "color": 0}],
    }
    asked = {
        "/healthz": client.get("/healthz"),
        f"{API}/runs": client.get(f"{API}/runs"),
        f"{API}/series": client.get(f"{API}/series?run=run-1"),
        f"{API}/overview": client.get(f"{API}/overview?run=run-1&run=run-2"),
        f"{API}/figures": client.post(f"{API}/figures", json={"charts": [chart]}),
        f"{API}/table": client.post(f"{API}/table", json={"runs": ["run-1"], "names": ["lr"]}),
        f"{API}/compare": client.post(f"{API}/compare", json={"groups": chart["groups"]}),
    }
    for path, answer in asked.items():
        assert answer.status_code == 200
        (operation,) = document["paths"][path].values()
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        check(answer.json(), schema, document, path)
    check(client.get("/none").json(), {"$ref": "#/components/schemas/Error"}, document, "error")
    check(chart, {"$ref": "#/components/schemas/Chart"}, document, "chart")


def test_every_reference_of_the_description_is_there(client):
    text = client.get(f"{API}/openapi.json").text
    names = set(re.findall(r'"#/components/schemas/(\w+)"', text))
    assert names == set(json.loads(text)["components"]["schemas"])


# --- Memory ---


def test_a_cache_forgets_what_was_asked_for_longest_ago():
    cache = ByteCache(100)
    for key in "abcd":
        cache.put(key, bytes(25))
    assert cache.get("a") == bytes(25)
    cache.put("e", bytes(20))
    assert cache.get("b") is None
    assert cache.get("a") is not None
    assert cache.num_bytes == 95
    cache.put("a", bytes(10))
    assert cache.num_bytes == 80
    cache.put("f", bytes(26))
    assert cache.get("f") is None, "it would push out too much"
    assert cache.num_bytes == 80
