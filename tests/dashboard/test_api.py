"""The HTTP API: series, tables, downloads, static files, and the OpenAPI description."""

import csv
import io
import json
import math
import re

import pytest

import holter
import sample_runs
from dashboard_client import API
from holter.dashboard import make_app
from holter.dashboard.http._cache import ByteCache
from openapi import check

# --- Series ---


def test_series_have_the_facts_of_the_run(client, sample_root):
    response = client.get(f"{API}/series?run=run-1")
    facts = holter.open_run(sample_root / "run-1").facts()
    as_json = {math.inf: "inf"}
    expected = [
        [f.name, f.count, f.nonfinite_count, f.first_step, f.last_step, as_json.get(f.last_value, f.last_value)]
        for f in facts
    ]
    assert response.json()["series"] == expected
    assert response.json()["revision"]


def test_unchanged_series_get_a_304(client):
    first = client.get(f"{API}/series?run=run-1")
    second = client.get(f"{API}/series?run=run-1", headers={"if-none-match": first.headers["etag"]})
    assert (second.status_code, second.content) == (304, b"")
    assert second.headers["etag"] == first.headers["etag"]
    other = client.get(f"{API}/series?run=run-2", headers={"if-none-match": first.headers["etag"]})
    assert other.status_code == 200


def test_series_are_filtered_by_a_glob(client):
    response = client.get(f"{API}/series", params={"run": "run-1", "pattern": "attention_entropy/layer_[0-2]"})
    assert [row[0] for row in response.json()["series"]] == [f"attention_entropy/layer_{layer}" for layer in range(3)]


def test_new_points_change_the_revision(tmp_path, open_client):
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
    response = client.post(
        f"{API}/table", json={"runs": ["run-1", "run-2"], "names": ["val/ppl", "train/loss"], **content}
    )
    assert response.status_code == 200, response.text
    return response.json()


def test_table_pages_have_every_point(client, sample_root):
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


def test_table_of_a_range_counts_only_its_points(client):
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


def test_unknown_name_has_no_rows(client):
    assert table(client, names=["nowhere", "val/ppl"], limit=1)["total"] == 40


# --- Downloads ---


def test_points_as_csv(client, sample_root):
    response = client.get(f"{API}/export.csv?run=run-1&name=train/loss&name=nowhere&name=val/ppl")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-disposition"] == 'attachment; filename="run-1.csv"'
    header, *rows = csv.reader(io.StringIO(response.text))
    assert header == ["run", "rank", "name", "step", "value", "timestamp"]
    points = holter.open_run(sample_root / "run-1").series("train/loss")
    assert [float(row[4]) for row in rows if row[2] == "train/loss"] == points.values.tolist()
    assert len(rows) == 400 + 20


def test_csv_escapes_names_that_look_like_formulas(tmp_path, open_client):
    formulas = ['=HYPERLINK("http://evil")', "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"]
    with holter.Logger(tmp_path / "=run") as logger:
        for name in (*formulas, "fine=1"):
            logger.log(0, name, -1.5)
    client = open_client(tmp_path)
    response = client.get(f"{API}/export.csv", params={"run": "=run", "name": [*formulas, "fine=1"]})
    _, *rows = csv.reader(io.StringIO(response.text, newline=""))
    assert [row[2] for row in rows] == [*(f"'{name}" for name in formulas), "fine=1"]
    assert {row[0] for row in rows} == {"'=run"}
    assert {row[4] for row in rows} == {"-1.5"}, "negative numbers are not escaped"
    assert response.headers["content-disposition"] == 'attachment; filename="run.csv"'


@pytest.mark.parametrize(
    ("name", "expected"), [("../../etc/passwd", "etc_passwd"), ('a"; x="', "a_x"), ("ü\r\nx: y", "x_y"), ("...", "run")]
)
def test_download_file_name_is_sanitized(tmp_path, open_client, name, expected):
    with holter.Logger(tmp_path / "a", name=name) as logger:
        logger.log(0, "loss", 1.0)
    response = open_client(tmp_path).head(f"{API}/export.csv?run=a&name=loss")
    assert response.headers["content-disposition"] == f'attachment; filename="{expected}.csv"'


def test_report_is_one_html_file(client):
    response = client.get(f"{API}/report.html?run=run-1&run=run-2")
    assert response.status_code == 200
    assert response.headers["content-disposition"] == 'attachment; filename="run-1-report.html"'
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.text.lower().startswith("<!doctype html>")
    assert "grad_norm_total" in response.text


# --- Files ---


def test_static_files_are_served_from_memory(client, monkeypatch):
    def fail(*arguments, **options):
        raise AssertionError("a request opened a file")

    monkeypatch.setattr("pathlib.Path.open", fail)
    monkeypatch.setattr("pathlib.Path.read_bytes", fail)
    monkeypatch.setattr("builtins.open", fail)
    assert client.get("/").headers["content-type"] == "text/html; charset=utf-8"
    for name, kind in {
        "plotly.min.js": "text/javascript; charset=utf-8",
        "index.html": "text/html; charset=utf-8",
    }.items():
        assert client.get(f"/static/{name}").headers["content-type"] == kind


def test_static_files_are_compressed_and_cacheable(client):
    plain = client.get("/static/plotly.min.js", headers={"accept-encoding": "identity"})
    small = client.get("/static/plotly.min.js", headers={"accept-encoding": "br, gzip;q=0.8"})
    assert "content-encoding" not in plain.headers
    assert small.headers["content-encoding"] == "gzip"
    assert int(small.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    assert small.content == plain.content
    etag = plain.headers["etag"]
    for if_none_match in (etag, f'"other", W/{etag}'):
        again = client.get("/static/plotly.min.js", headers={"if-none-match": if_none_match})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)


def test_head_has_no_body(client):
    for path in ("/", "/static/plotly.min.js", f"{API}/runs", f"{API}/live", f"{API}/export.csv?run=run-1&name=lr"):
        response = client.head(path)
        assert (response.status_code, response.content) == (200, b""), path


def test_missing_plotly_raises_with_a_hint(sample_root, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'holter\[serve\]'"):
        make_app(sample_root)


# --- OpenAPI ---


def test_openapi_describes_exactly_the_routes(sample_root, client):
    described = {
        (method.upper(), path)
        for path, item in client.get(f"{API}/openapi.json").json()["paths"].items()
        for method in item
    }
    app = make_app(sample_root)
    routes = {(method, route.path) for route in app._inner.routes for method in route.methods - {"HEAD"}}
    assert described == routes
    assert {method for method, _ in routes} == {"GET", "POST"}


def test_responses_match_the_openapi_schema(client):
    document = client.get(f"{API}/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    chart = {
        "key": "a",
        "kind": "line",
        "names": ["train/loss"],
        "groups": [{"label": "run-1", "runs": ["run-1"], "color": 0}],
    }
    responses = {
        "/healthz": client.get("/healthz"),
        f"{API}/runs": client.get(f"{API}/runs"),
        f"{API}/series": client.get(f"{API}/series?run=run-1"),
        f"{API}/overview": client.get(f"{API}/overview?run=run-1&run=run-2"),
        f"{API}/figures": client.post(f"{API}/figures", json={"charts": [chart]}),
        f"{API}/table": client.post(f"{API}/table", json={"runs": ["run-1"], "names": ["lr"]}),
        f"{API}/compare": client.post(f"{API}/compare", json={"groups": chart["groups"]}),
    }
    for path, response in responses.items():
        assert response.status_code == 200
        (operation,) = document["paths"][path].values()
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        check(response.json(), schema, document, path)
    check(client.get("/none").json(), {"$ref": "#/components/schemas/ErrorResponse"}, document, "error")
    check(chart, {"$ref": "#/components/schemas/ChartSpec"}, document, "chart")


def test_openapi_references_resolve(client):
    text = client.get(f"{API}/openapi.json").text
    names = set(re.findall(r'"#/components/schemas/(\w+)"', text))
    assert names == set(json.loads(text)["components"]["schemas"])


# --- Cache ---


def test_cache_evicts_the_least_recently_used():
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
    assert cache.get("f") is None, "too large to cache"
    assert cache.num_bytes == 80
