"""Invalid requests get a 400 with a message that names the field and what was expected, never a server error."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashboard_client import error_message
from holter.dashboard.api import _requests
from holter.dashboard.api._requests import decode_body
from holter.dashboard.http._errors import RequestError

FIGURES, TABLE, COMPARE = "/api/v1/figures", "/api/v1/table", "/api/v1/compare"
CHART = {"key": "a", "kind": "line", "names": ["train/loss"], "groups": [{"label": "run-1", "runs": ["run-1"]}]}


def rejection(client, path: str, content: object) -> str:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    response = client.post(path, content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400, response.text
    return error_message(response)


@pytest.mark.parametrize("path", [FIGURES, TABLE, COMPARE])
@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is not valid JSON: input data was truncated"),
        (b"{", "the body is not valid JSON: input data was truncated"),
        (b"\xff\xfe", "the body is not valid JSON: invalid character (byte 0)"),
        (b"'", "the body is not valid JSON: invalid character (byte 0)"),
        (b"NaN", "the body is not valid JSON: invalid character (byte 0)"),
        (b"[" * 500_000, "the body: expected object, got array"),
        (b'{"a":' * 100_000, "the body: contains unknown field a"),
        (b"[Infinity]", "the body: expected object, got array"),
        (b"1" * 100_000, "the body: "),
        (b"[]", "the body: expected object, got array"),
        (b"null", "the body: expected object, got null"),
        (b'{"select": "drop table points"}', "the body: contains unknown field select"),
    ],
)
def test_invalid_json_is_rejected(client, path, body, message):
    assert rejection(client, path, body).startswith(message)


def with_chart(**changes) -> dict:
    return {"charts": [{**CHART, **changes}]}


def with_view(**view) -> dict:
    return {"charts": [], "view": view}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "the body: missing required field charts"),
        ({"charts": [CHART] * 65}, "charts: expected array of length <= 64"),
        ({"charts": [1]}, "charts[0]: expected object, got int"),
        (with_chart(kind="pie"), "charts[0].kind: expected one of line, band, heatmap, latest, speed, got 'pie'"),
        (with_chart(band="sd"), "charts[0].band: expected one of std, quantile, minmax, got 'sd'"),
        (with_chart(kind="x" * 70_000), "charts[0].kind: expected one of line, "),
        (with_chart(key=None), "charts[0].key: expected str, got null"),
        (with_chart(names="train/loss"), "charts[0].names: expected array, got str"),
        (with_chart(names=["a"] * 2001), "charts[0].names: expected array of length <= 2000"),
        ({"charts": [{**CHART, "names": ["a"] * 1001}] * 2}, "the body: charts have more than 2000 names in total"),
        (with_chart(names=[{}]), "charts[0].names[0]: expected str, got object"),
        (with_chart(names=["a" * 70_000]), "charts[0].names[0]: expected str of length <= 65536"),
        (with_chart(names=["\ud800"]), "the body is not valid JSON: unexpected end of escaped utf-16 surrogate pair"),
        (
            with_chart(groups=[{"label": "a", "runs": ["a"] * 257}]),
            "charts[0].groups[0].runs: expected array of length <= 256",
        ),
        (
            with_chart(
                groups=[
                    {"label": "a", "runs": [str(i) for i in range(200)]},
                    {"label": "b", "runs": [str(i) for i in range(200, 400)]},
                ]
            ),
            "the body: charts have more than 256 runs in total",
        ),
        (
            with_chart(groups=[{"label": "a", "runs": ["a"], "color": -1}]),
            "charts[0].groups[0].color: expected int >= 0",
        ),
        (
            with_chart(thresholds=[{"y": "1", "label": ""}]),
            "charts[0].thresholds[0].y: expected float, got str",
        ),
        (with_chart(change_points=1), "charts[0].change_points: expected bool, got int"),
        ({"charts": [], "theme": "blue"}, "theme: expected one of light, dark, got 'blue'"),
        (with_view(px=49), "view.px: expected int >= 50"),
        (with_view(px=4001), "view.px: expected int <= 4000"),
        (with_view(px=10**15), "view.px: expected int <= 4000"),
        (with_view(px=True), "view.px: expected int, got bool"),
        (with_view(px=99.5), "view.px: expected int, got float"),
        (with_view(start=1 << 63), "view.start: expected int <= 9223372036854775807"),
        (with_view(stop=10**30), "view.stop: expected int <= 9223372036854775807"),
        (with_view(start="0"), "view.start: expected int | null, got str"),
        (with_view(half_life=-1), "view.half_life: expected float >= 0.0"),
        (with_view(half_life=1e301), "view.half_life: expected float <= 1e+300"),
        (with_view(x="date"), "view: x must be one of step, relative, wall or metric:NAME"),
        (with_view(x="step\n"), "view: x must be one of "),
        (with_view(x="metric:"), "view: x must be one of "),
        (with_view(zoom=1), "view: contains unknown field zoom"),
    ],
)
def test_invalid_figures_request_is_rejected(client, content, message):
    found = rejection(client, FIGURES, content)
    assert found.startswith(message)
    assert len(found) < 500


@pytest.mark.parametrize("number", [b"1e999", b"1" * 100_000, b"-" + b"1" * 100_000])
@pytest.mark.parametrize("field", [b"half_life", b"start", b"px"])
def test_huge_number_is_rejected(client, field, number):
    found = rejection(client, FIGURES, b'{"charts": [], "view": {"' + field + b'": ' + number + b"}}")
    assert found.startswith(f"view.{field.decode()}: ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"runs": ["run-1"]}, "the body: missing required field names"),
        ({"runs": ["run-1"], "names": ["a"], "limit": 1001}, "limit: expected int <= 1000"),
        ({"runs": ["run-1"], "names": ["a"], "limit": 0}, "limit: expected int >= 1"),
        ({"runs": ["run-1"], "names": ["a"], "offset": -1}, "offset: expected int >= 0"),
        ({"runs": ["run-1"], "names": [str(i) for i in range(600)]}, "a table has at most 512 series"),
    ],
)
def test_invalid_table_request_is_rejected(client, content, message):
    assert rejection(client, TABLE, content).startswith(message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"groups": []}, "groups contain no runs"),
        ({"groups": [{"label": "a", "runs": []}]}, "groups contain no runs"),
        ({"groups": [{"label": "a", "runs": ["run-1"], "at": 1}]}, "groups[0]: contains unknown field at"),
        ({"groups": [{"label": "a", "runs": ["a"] * 129}] * 2}, "the body: groups have more than 256 runs in total"),
        ({"groups": [], "at": list(range(101))}, "at: expected array of length <= 100"),
        ({"groups": [], "targets": {"a": "b"}}, "targets[...]: expected float, got str"),
        ({"groups": [], "targets": {"a": 1e301}}, "targets[...]: expected float <= 1e+300"),
        ({"groups": [], "targets": []}, "targets: expected object, got array"),
    ],
)
def test_invalid_comparison_request_is_rejected(client, content, message):
    assert rejection(client, COMPARE, content).startswith(message)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("/api/v1/series", "the query: missing required field run"),
        ("/api/v1/series?run=run-1&run=run-2", "run: expected array of length <= 1"),
        ("/api/v1/series?run=run-1&pattern=" + "a" * 1001, "pattern[0]: expected str of length <= 1000"),
        ("/api/v1/series?run=run-1&pattern=a&pattern=b", "pattern: expected array of length <= 1"),
        ("/api/v1/export.csv?run=run-1", "the query: missing required field name"),
        ("/api/v1/export.csv?name=a", "the query: missing required field run"),
        ("/api/v1/report.html", "the query: missing required field run"),
        ("/api/v1/overview?" + "&".join(f"run={i}" for i in range(257)), "run: expected array of length <= 256"),
        ("/api/v1/live?" + "&".join(f"run={i}" for i in range(257)), "run: expected array of length <= 256"),
    ],
)
def test_invalid_query_is_rejected(client, address, message):
    response = client.get(address)
    assert response.status_code == 400
    assert error_message(response).startswith(message)


def test_message_points_to_the_description(client):
    assert rejection(client, TABLE, {}).endswith("; /api/v1/openapi.json describes the request")


def test_repeated_query_values_count_once(client):
    response = client.get("/api/v1/overview?" + "&".join(["run=run-1"] * 300))
    assert {run for chart in response.json()["charts"] for run in chart["groups"][0]["runs"]} == {"run-1"}


@pytest.mark.parametrize(
    "pattern", ["[", "[a", "[!", "[]", "(", "((((", "a{1,2}", "\\", "re:(x+x+)+y", ".*", "%", "';--"]
)
def test_pattern_is_a_glob_and_never_fails(client, pattern):
    response = client.get("/api/v1/series", params={"run": "run-1", "pattern": pattern})
    assert response.status_code == 200
    assert response.json()["series"] == []


@pytest.mark.parametrize(
    "pattern", ["(([a-z_0-9/])+)+$X", "(x+x+)+y", "*a" * 200 + "b", "?*" * 490 + "$X", "*" * 999 + "X"]
)
def test_pattern_does_not_backtrack(client, pattern):
    """A backtracking matcher would hang here, and pytest's `faulthandler_timeout` would end the test."""
    response = client.get("/api/v1/series", params={"run": "run-1", "pattern": pattern})
    assert response.status_code == 200
    assert response.json()["series"] == []


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_FIELDS = st.sampled_from(["charts", "view", "theme", "runs", "names", "groups", "at", "metrics", "targets", "limit"])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(_FIELDS, _JSON, max_size=5) | _JSON)
def test_any_body_is_decoded_or_rejected(value):
    body = json.dumps(value).encode()
    for request_type in (_requests.FiguresRequest, _requests.TableRequest, _requests.CompareRequest):
        try:
            decode_body(body, request_type)
        except RequestError as error:
            assert error.status == 400
            assert error.message
