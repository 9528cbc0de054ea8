"""Figures: every kind of chart, the view's options, errors of single charts, caching."""

import base64
import json
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import holter
import sample_runs
from holter.dashboard.api import _figures
from holter.dashboard.http._errors import ErrorDetail
from holter.dashboard.http._json import json_bytes

FIGURES = "/api/v1/figures"
ENTROPY = [f"attention_entropy/layer_{layer}" for layer in range(sample_runs.LAYERS)]


def groups(*runs: str) -> list[dict]:
    return [{"label": run, "runs": [run]} for run in runs]


def chart(kind: str = "line", names=("train/loss",), runs=("run-1",), **changes) -> dict:
    return {"key": "a", "kind": kind, "names": list(names), "groups": groups(*runs), **changes}


def figures(client, *charts: dict, **content) -> list[dict]:
    response = client.post(FIGURES, json={"charts": list(charts), **content})
    assert response.status_code == 200, response.text
    return json.loads(response.text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))["figures"]


def column(values) -> np.ndarray:
    """Decode an array of plotly.js."""
    if isinstance(values, dict):
        return np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"])
    return np.array(values, dtype=float)


def line(figure: dict, name: str) -> dict:
    found = [trace for trace in figure["figure"]["data"] if trace.get("meta", {}).get("name") == name]
    return next(trace for trace in found if "lines" in trace["mode"])


@pytest.mark.parametrize("kind", ["line", "band", "heatmap", "latest", "speed"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_kind_is_drawn(client, kind, theme):
    names = ENTROPY if kind in ("band", "heatmap", "latest") else ["train/loss"]
    (figure,) = figures(client, chart(kind, names, ("run-1", "run-2")), theme=theme)
    assert "error" not in figure
    assert figure["figure"]["data"]
    assert figure["figure"]["layout"]
    assert figure["key"] == "a"
    assert set(figure["revision"]) == {"run-1", "run-2"}
    assert figure["width"] >= 1


@pytest.mark.parametrize("band", ["std", "quantile", "minmax"])
def test_band_is_drawn_for_each_group(client, band):
    both = [{"label": "both", "runs": ["run-1", "run-2"], "color": 3}, *groups("run-1")]
    (figure,) = figures(client, {**chart("band", ENTROPY), "groups": both, "band": band})
    assert "error" not in figure
    labels = {trace.get("meta", {}).get("label") for trace in figure["figure"]["data"]} - {None}
    assert labels == {"both", "run-1"}


def test_repeated_labels_are_numbered(client):
    twice = [{"label": "seed", "runs": [run]} for run in ("run-1", "run-2")]
    (figure,) = figures(client, {**chart("band", ENTROPY), "groups": twice})
    labels = {trace.get("meta", {}).get("label") for trace in figure["figure"]["data"]} - {None}
    assert labels == {"seed", "seed (2)"}


def test_line_has_the_points_of_the_run(client, sample_root):
    (figure,) = figures(client, chart(names=["grad_norm_total"]), view={"px": 4000})
    drawn = line(figure, "grad_norm_total")
    points = holter.open_run(sample_root / "run-1").series("grad_norm_total")
    assert column(drawn["x"]).tolist() == points.steps.tolist()
    assert column(drawn["y"]).tolist() == points.values.tolist()


def test_figure_covers_start_to_stop(client):
    (figure,) = figures(client, chart(), view={"start": 100, "stop": 120})
    x = column(line(figure, "train/loss")["x"])
    assert (x.min(), x.max()) == (100, 119)


def test_downsampling_keeps_spikes(client):
    (figure,) = figures(client, chart(names=["grad_norm_total"]), view={"px": 50})
    assert figure["width"] > 1
    highest = max(float(np.nanmax(column(trace["y"]))) for trace in figure["figure"]["data"] if "y" in trace)
    table = sample_runs.values(400)
    assert highest == pytest.approx(table[sample_runs.SPIKE_STEP, sample_runs.names().index("grad_norm_total")])
    assert "1 point =" in figure["note"]


def test_view_and_thresholds_reach_the_figure(client):
    view = {"half_life": 20, "log_y": True, "x": "relative", "trim": True, "marks": False}
    request = chart(thresholds=[{"y": 2.0, "label": "<b>goal</b>"}])
    (figure,) = figures(client, request, view=view)
    layout = figure["figure"]["layout"]
    assert layout["yaxis"]["type"] == "log"
    assert "goal" in json.dumps(layout)
    assert "<b>goal" not in json.dumps(layout), "labels are escaped"
    (plain,) = figures(client, chart())
    assert plain["figure"]["layout"]["yaxis"].get("type") != "log"
    (other,) = figures(client, chart(), view={"x": "metric:lr"})
    assert "error" not in other
    (wall,) = figures(client, chart(), view={"x": "wall"})
    assert wall["figure"]["layout"]["xaxis"]["type"] == "date"


def test_change_points_are_marked(client):
    plain, marked = figures(client, *(chart("band", ENTROPY, change_points=on) for on in (False, True)))
    labels = [json.dumps(figure["figure"]).count("change ") for figure in (plain, marked)]
    assert labels[0] == 0
    assert labels[1] > 0


def test_failed_chart_has_an_error_in_its_place(client):
    found = figures(
        client,
        chart(key="good"),
        chart(key="no such series", names=["train/los"]),
        chart(key="no names", names=[]),
        chart(key="no groups", groups=[]),
        chart(key="empty group", groups=[{"label": "none", "runs": []}]),
        chart(key="no metric", names=["train/loss"]),
    )
    errors = {figure["key"]: figure.get("error") for figure in found}
    assert errors["good"] is None
    assert errors["no metric"] is None
    assert "train/los" in errors["no such series"]
    assert errors["no names"] == "the chart has no series; expected at least one name"
    assert errors["no groups"] == errors["empty group"] == "none of the chart's runs exists any more"
    assert found[1]["figure"] == {"data": [], "layout": {}}


def test_exception_in_one_chart_does_not_fail_the_others(client, monkeypatch, caplog):
    real = _figures._build

    def build(chart, *arguments):
        return 1 / 0 if chart.key == "broken" else real(chart, *arguments)

    monkeypatch.setattr(_figures, "_build", build)
    broken, good = figures(client, chart(key="broken"), chart(key="good"))
    assert broken["error"] == "internal error while drawing this chart; see the server's terminal"
    assert "error" not in good
    assert "ZeroDivisionError" in caplog.text


def test_chart_with_too_many_points_fails_alone(client, monkeypatch):
    monkeypatch.setattr(_figures, "MAX_POINTS", 2 * 600)
    large, small = figures(client, chart("band", ENTROPY, key="large"), chart(key="small"), view={"px": 600})
    assert large["error"] == "the chart has 6 series (runs × names), too many to draw; select fewer"
    assert "error" not in small


def test_too_large_response_is_truncated_with_an_error(client, monkeypatch):
    monkeypatch.setattr(_figures, "MAX_RESPONSE_BYTES", 10)
    first, second = figures(client, chart(key="first"), chart(key="second"))
    assert "error" not in first
    assert "request fewer charts" in second["error"]


def test_empty_range_is_an_error(client):
    (figure,) = figures(client, chart(), view={"start": 10, "stop": 10})
    assert "start must be less than stop" in figure["error"]


def test_run_without_the_series_is_skipped(tmp_path, open_client):
    for name in "ab":
        with holter.Logger(tmp_path / name) as logger:
            logger.log(0, "loss", 1.0)
            logger.log(0, f"only/{name}", 1.0)
    (figure,) = figures(open_client(tmp_path), chart(names=["only/a"], runs=("a", "b")))
    assert "error" not in figure


def test_unknown_run_is_not_found(client):
    response = client.post(FIGURES, json={"charts": [chart(runs=("run-1", "nowhere"))]})
    assert response.status_code == 404
    assert "'nowhere'" in response.json()["error"]["message"]


def test_figures_are_cached_until_their_runs_change(tmp_path, open_client, monkeypatch):
    built = []
    real = _figures._build
    monkeypatch.setattr(_figures, "_build", lambda *arguments: built.append(1) or real(*arguments))
    client = open_client(tmp_path)
    with holter.Logger(tmp_path / "a") as logger:
        logger.log(0, "loss", 1.0)
        first = figures(client, chart(names=["loss"], runs=("a",)))
        again = figures(client, chart(names=["loss"], runs=("a",)))
        assert again == first
        assert len(built) == 1
        figures(client, chart(names=["loss"], runs=("a",)), theme="dark")
        figures(client, chart(names=["loss"], runs=("a",)), view={"px": 601})
        assert len(built) == 3
        logger.log(1, "loss", math.nan)
        later = figures(client, chart(names=["loss"], runs=("a",)))
    assert len(built) == 4
    assert later[0]["revision"] != first[0]["revision"]


def test_overview_charts_are_valid_requests(client):
    charts = client.get("/api/v1/overview?run=run-1&run=run-2").json()["charts"]
    assert len(charts) >= 4
    found = figures(client, *charts)
    assert [figure.get("error") for figure in found] == [None] * len(charts)
    assert len({figure["key"] for figure in found}) == len(charts)
    assert [group["runs"] for group in charts[0]["groups"]] == [["run-1"], ["run-2"]]
    loss = next(chart for chart in charts if chart["key"] == "loss")
    assert {"train/loss", "val/loss"} <= set(loss["names"]), "training and validation share a chart"


def test_overview_without_series_is_empty(client, tmp_path, open_client):
    assert client.get("/api/v1/overview").json() == {"charts": []}
    holter.Logger(tmp_path / "a").close()
    assert open_client(tmp_path).get("/api/v1/overview?run=a").json() == {"charts": []}


def test_concurrent_requests_get_the_same_figures(client):
    charts = [chart(names=[name]) for name in sample_runs.names()]
    expected = figures(client, *charts)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: figures(client, *charts), range(4)))
    assert found == [expected] * 4


def test_json_is_strict_and_non_finite_numbers_are_strings():
    values = [math.nan, math.inf, -math.inf, 1.5, None, True]
    assert json_bytes({"a": values}) == b'{"a":["nan","inf","-inf",1.5,null,true]}'
    assert json_bytes(ErrorDetail("wrong")) == b'{"message":"wrong"}'
    assert json_bytes("ü\u2028") == b'"\\u00fc\\u2028"'
    with pytest.raises(TypeError):
        json_bytes(object())
