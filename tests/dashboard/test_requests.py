"""Whatever a client sends that does not fit is a 400 with words, at once, and never a failure."""

import json
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holter.dashboard.api import _requests
from holter.dashboard.http._errors import Refused

FIGURES, TABLE, COMPARE = "/api/v1/figures", "/api/v1/table", "/api/v1/compare"
CHART = {"key": "a", "kind": "line", "names": ["train/loss"], "groups": [{"label": "run-1", "runs": ["run-1"]}]}


def refused(client, path: str, content: object) -> str:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    response = client.post(path, content=text, headers={"content-type": "application/json"})
    assert response.status_code == 400, response.text
    return response.json()["error"]["message"]


@pytest.mark.parametrize("path", [FIGURES, TABLE, COMPARE])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"'", "not JSON"),
        (b"[" * 500_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b"NaN", "NaN"),
        (b"[Infinity]", "Infinity"),
        (b"1" * 100_000, "digits"),
        (b"[]", "must be an object"),
        (b"null", "must be an object"),
        (b'{"select": "drop table points"}', "unknown key 'select'"),
    ],
)
def test_bad_json_is_told(client, path, text, words):
    assert words in refused(client, path, text)


def with_chart(**changes) -> dict:
    return {"charts": [{**CHART, **changes}]}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({}, "charts must be a list, got nothing"),
        ({"charts": [CHART] * 65}, "charts has 65 items, expected at most 64"),
        ({"charts": [1]}, r"charts[0] must be an object"),
        (with_chart(kind="pie"), "charts[0].kind must be one of line, band"),
        (with_chart(band="sd"), "charts[0].band must be one of std, quantile, minmax"),
        (with_chart(key=None), "charts[0].key must be text, got nothing"),
        (with_chart(names="train/loss"), "charts[0].names must be a list, got text"),
        (with_chart(names=["a"] * 2001), "charts[0].names has 2001 items, expected at most 2000"),
        ({"charts": [{**CHART, "names": ["a"] * 1001}] * 2}, "more than 2000 series together"),
        (with_chart(names=[{}]), "charts[0].names[0] must be text, got an object"),
        (with_chart(names=["a" * 70_000]), "at most 65536"),
        (with_chart(names=["\ud800"]), "surrogate"),
        (with_chart(groups=[{"label": "a", "runs": ["a"] * 257}]), "at most 256"),
        (
            with_chart(
                groups=[
                    {"label": "a", "runs": [str(i) for i in range(200)]},
                    {"label": "b", "runs": [str(i) for i in range(200, 400)]},
                ]
            ),
            "more than 256 runs",
        ),
        (with_chart(groups=[{"label": "a", "runs": ["a"], "color": -1}]), "color must be 0 to"),
        (with_chart(thresholds=[{"y": "1", "label": ""}]), "thresholds[0].y must be a number, got text"),
        (with_chart(change_points=1), "change_points must be true or false"),
        ({"charts": [], "theme": "blue"}, "theme must be one of light, dark, got 'blue'"),
        ({"charts": [], "view": {"px": 49}}, "view.px must be 50 to 4000, got 49"),
        ({"charts": [], "view": {"px": 4001}}, "view.px must be 50 to 4000"),
        ({"charts": [], "view": {"px": 10**15}}, "view.px must be 50 to 4000"),
        ({"charts": [], "view": {"px": True}}, "view.px must be a whole number"),
        ({"charts": [], "view": {"px": 99.5}}, "view.px must be a whole number"),
        ({"charts": [], "view": {"start": 1 << 63}}, "view.start must be"),
        ({"charts": [], "view": {"start": "0"}}, "view.start must be a whole number, got text"),
        ({"charts": [], "view": {"half_life": -1}}, "view.half_life must be at least 0"),
        ({"charts": [], "view": {"half_life": 1e301}}, "at most 1e300"),
        ({"charts": [], "view": {"x": "date"}}, "view.x must be one of step, relative, wall or metric:NAME"),
        ({"charts": [], "view": {"x": "metric:"}}, "view.x must be one of"),
        ({"charts": [], "view": {"zoom": 1}}, "view has the unknown key 'zoom'"),
    ],
)
def test_a_figure_that_makes_no_sense_is_told(client, content, words):
    assert words in refused(client, FIGURES, content)


def test_a_number_that_text_makes_infinite_is_told(client):
    assert "at most 1e300" in refused(client, FIGURES, b'{"charts": [], "view": {"half_life": 1e999}}')


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"runs": ["run-1"]}, "names must be a list"),
        ({"runs": ["run-1"], "names": ["a"], "limit": 1001}, "limit must be 1 to 1000, got 1001"),
        ({"runs": ["run-1"], "names": ["a"], "limit": 0}, "limit must be 1 to 1000"),
        ({"runs": ["run-1"], "names": ["a"], "offset": -1}, "offset must be 0 to"),
        ({"runs": ["run-1"], "names": [str(i) for i in range(600)]}, "at most 512 series"),
    ],
)
def test_a_table_that_makes_no_sense_is_told(client, content, words):
    assert words in refused(client, TABLE, content)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"groups": []}, "nothing to compare"),
        ({"groups": [{"label": "a", "runs": []}]}, "nothing to compare"),
        ({"groups": [{"label": "a", "runs": ["run-1"], "at": 1}]}, "groups[0] has the unknown key 'at'"),
        ({"groups": [], "at": list(range(101))}, "at has 101 items"),
        ({"groups": [], "targets": {"a": "b"}}, "targets.'a' must be a number"),
        ({"groups": [], "targets": []}, "targets must be an object, got a list"),
    ],
)
def test_a_comparison_that_makes_no_sense_is_told(client, content, words):
    assert words in refused(client, COMPARE, content)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("/api/v1/series", "run is given 0 times, expected once"),
        ("/api/v1/series?run=run-1&run=run-2", "run is given 2 times"),
        ("/api/v1/series?run=run-1&pattern=" + "a" * 1001, "pattern has 1001 characters, expected at most 1000"),
        ("/api/v1/series?run=run-1&pattern=a&pattern=b", "pattern is given more than once"),
        ("/api/v1/export.csv?run=run-1", "name is missing"),
        ("/api/v1/export.csv?name=a", "run is missing"),
        ("/api/v1/report.html", "run is missing"),
        ("/api/v1/overview?" + "&".join(f"run={i}" for i in range(257)), "run has 257 items"),
        ("/api/v1/live?" + "&".join(f"run={i}" for i in range(257)), "run has 257 items"),
    ],
)
def test_a_query_that_makes_no_sense_is_told(client, address, words):
    response = client.get(address)
    assert response.status_code == 400
    assert words in response.json()["error"]["message"]


@pytest.mark.parametrize(
    "pattern", ["[", "[a", "[!", "[]", "(", "((((", "a{1,2}", "\\", "re:(x+x+)+y", ".*", "%", "';--"]
)
def test_a_pattern_is_a_plain_glob_and_never_fails(client, pattern):
    response = client.get("/api/v1/series", params={"run": "run-1", "pattern": pattern})
    assert response.status_code == 200
    assert response.json()["series"] == []


@pytest.mark.parametrize(
    "pattern", ["(([a-z_0-9/])+)+$X", "(x+x+)+y", "*a" * 200 + "b", "?*" * 490 + "$X", "*" * 999 + "X"]
)
def test_a_pattern_that_a_regex_would_die_of_answers_at_once(client, pattern):
    begun = time.perf_counter()
    response = client.get("/api/v1/series", params={"run": "run-1", "pattern": pattern})
    assert response.status_code == 200
    assert response.json()["series"] == []
    assert time.perf_counter() - begun < 5.0, "a backtracking matcher would take for ever"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_KNOWN = st.sampled_from(["charts", "view", "theme", "runs", "names", "groups", "at", "metrics", "targets", "limit"])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(_KNOWN, _JSON, max_size=5) | _JSON)
def test_whatever_comes_is_read_or_refused(value):
    for read in (_requests.figures, _requests.table, _requests.compare):
        try:
            read(value)
        except Refused as refusal:
            assert refusal.status == 400
            assert refusal.message
