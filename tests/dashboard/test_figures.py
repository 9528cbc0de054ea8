"""Figures are drawn from the run's buckets, kept while the runs do not change, and fail each in its place."""

import base64
import json
import math
import threading

import numpy as np
import pytest

import holter
import sample_runs
from holter.dashboard.api import _figures
from holter.dashboard.http._json import dumps

FIGURES = "/api/v1/figures"
ENTROPY = [f"attention_entropy/layer_{layer}" for layer in range(sample_runs.LAYERS)]


def groups(*runs: str) -> list[dict]:
    return [{"label": run, "runs": [run]} for run in runs]


def chart(kind: str = "line", names=("train/loss",), runs=("run-1",), **changes) -> dict:
    return {"key": "a", "kind": kind, "names": list(names), "groups": groups(*runs), **changes}


def figures(client, *charts: dict, **content) -> list[dict]:
    answer = client.post(FIGURES, json={"charts": list(charts), **content})
    assert answer.status_code == 200, answer.text
    return json.loads(answer.text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))["figures"]


def column(values) -> np.ndarray:
    """An array as plotly.js takes it."""
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
def test_every_band_is_drawn_once_a_group(client, band):
    both = [{"label": "both", "runs": ["run-1", "run-2"], "color": 3}, *groups("run-1")]
    (figure,) = figures(client, {**chart("band", ENTROPY), "groups": both, "band": band})
    assert "error" not in figure
    labels = {trace.get("meta", {}).get("label") for trace in figure["figure"]["data"]} - {None}
    assert labels == {"both", "run-1"}


def test_two_groups_may_have_one_label(client):
    twice = [{"label": "seed", "runs": [run]} for run in ("run-1", "run-2")]
    (figure,) = figures(client, {**chart("band", ENTROPY), "groups": twice})
    labels = {trace.get("meta", {}).get("label") for trace in figure["figure"]["data"]} - {None}
    assert labels == {"seed", "seed (2)"}


def test_a_line_has_the_points_of_the_run(client, sample_root):
    (figure,) = figures(client, chart(names=["grad_norm_total"]), view={"px": 4000})
    drawn = line(figure, "grad_norm_total")
    points = holter.open_run(sample_root / "run-1").series("grad_norm_total")
    assert column(drawn["x"]).tolist() == points.steps.tolist()
    assert column(drawn["y"]).tolist() == points.values.tolist()


def test_the_window_is_what_was_asked_for(client):
    (figure,) = figures(client, chart(), view={"start": 100, "stop": 120})
    x = column(line(figure, "train/loss")["x"])
    assert (x.min(), x.max()) == (100, 119)


def test_more_points_than_pixels_are_merged_and_the_spike_stays(client):
    (figure,) = figures(client, chart(names=["grad_norm_total"]), view={"px": 50})
    assert figure["width"] > 1
    highest = max(float(np.nanmax(column(trace["y"]))) for trace in figure["figure"]["data"] if "y" in trace)
    table = sample_runs.values(400)
    assert highest == pytest.approx(table[sample_runs.SPIKE_STEP, sample_runs.names().index("grad_norm_total")])
    assert "1 point =" in figure["note"]


def test_smoothing_logarithm_axes_and_thresholds_reach_the_figure(client):
    view = {"half_life": 20, "log_y": True, "x": "relative", "trim": True, "marks": False}
    wanted = chart(thresholds=[{"y": 2.0, "label": "<b>goal</b>"}])
    (figure,) = figures(client, wanted, view=view)
    layout = figure["figure"]["layout"]
    assert layout["yaxis"]["type"] == "log"
    assert "goal" in json.dumps(layout)
    assert "<b>goal" not in json.dumps(layout), "a label is text"
    (plain,) = figures(client, chart())
    assert plain["figure"]["layout"]["yaxis"].get("type") != "log"
    (other,) = figures(client, chart(), view={"x": "metric:lr"})
    assert "error" not in other
    (wall,) = figures(client, chart(), view={"x": "wall"})
    assert wall["figure"]["layout"]["xaxis"]["type"] == "date"


def test_change_points_are_marked(client):
    (figure,) = figures(client, chart("band", ENTROPY, change_points=True), view={"px": 1000})
    assert "error" not in figure


def test_a_chart_that_cannot_be_made_says_why_in_its_place(client):
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
    assert errors["no names"] == "it names no series"
    assert errors["no groups"] == errors["empty group"] == "none of its runs is there any more"
    assert found[1]["figure"] == {"data": [], "layout": {}}


def test_a_failure_of_one_chart_leaves_the_others(client, monkeypatch, caplog):
    real = _figures._build

    def build(chart, *arguments):
        return 1 / 0 if chart.key == "broken" else real(chart, *arguments)

    monkeypatch.setattr(_figures, "_build", build)
    broken, good = figures(client, chart(key="broken"), chart(key="good"))
    assert broken["error"] == "the server failed at this chart; its terminal says more"
    assert "error" not in good
    assert "ZeroDivisionError" in caplog.text


def test_a_chart_of_too_many_points_is_refused_and_the_others_are_made(client, monkeypatch):
    monkeypatch.setattr(_figures, "MAX_POINTS", 2 * 600)
    large, small = figures(client, chart("band", ENTROPY, key="large"), chart(key="small"), view={"px": 600})
    assert large["error"] == "it is of 6 series (runs × names), too many to draw; select fewer"
    assert "error" not in small


def test_an_answer_that_grows_too_large_ends_with_words(client, monkeypatch):
    monkeypatch.setattr(_figures, "MAX_ANSWER_BYTES", 10)
    first, second = figures(client, chart(key="first"), chart(key="second"))
    assert "error" not in first
    assert "ask for fewer charts" in second["error"]


def test_a_window_that_ends_before_it_begins_is_said(client):
    (figure,) = figures(client, chart(), view={"start": 10, "stop": 10})
    assert "start must be less than stop" in figure["error"]


def test_a_run_that_lacks_a_series_goes_without_it(tmp_path, open_client):
    for name in "ab":
        with holter.Logger(tmp_path / name) as logger:
            logger.log(0, "loss", 1.0)
            logger.log(0, f"only/{name}", 1.0)
    (figure,) = figures(open_client(tmp_path), chart(names=["only/a"], runs=("a", "b")))
    assert "error" not in figure


def test_a_run_that_was_never_there_refuses_the_request(client):
    answer = client.post(FIGURES, json={"charts": [chart(runs=("run-1", "nowhere"))]})
    assert answer.status_code == 404
    assert "'nowhere'" in answer.json()["error"]["message"]


def test_figures_are_kept_until_their_runs_change(tmp_path, open_client, monkeypatch):
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


def test_the_overview_can_be_asked_for_as_it_is(client):
    charts = client.get("/api/v1/overview?run=run-1&run=run-2").json()["charts"]
    assert len(charts) >= 4
    found = figures(client, *charts)
    assert [figure.get("error") for figure in found] == [None] * len(charts)
    assert len({figure["key"] for figure in found}) == len(charts)
    assert [group["runs"] for group in charts[0]["groups"]] == [["run-1"], ["run-2"]]
    loss = next(chart for chart in charts if chart["key"] == "loss")
    assert {"train/loss", "val/loss"} <= set(loss["names"]), "training and validation in one chart"


def test_the_overview_of_nothing_is_empty(client, tmp_path, open_client):
    assert client.get("/api/v1/overview").json() == {"charts": []}
    holter.Logger(tmp_path / "a").close()
    assert open_client(tmp_path).get("/api/v1/overview?run=a").json() == {"charts": []}


def test_many_threads_get_the_same_figures(client):
    wanted = [chart(names=[name]) for name in sample_runs.names()]
    expected = figures(client, *wanted)
    found = []

    def ask():
        found.append(figures(client, *wanted))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4


def test_json_is_strict_and_numbers_that_are_not_finite_are_words():
    assert dumps({"a": [math.nan, math.inf, -math.inf, 1.5, None, True]}) == b'{"a":["nan","inf","-inf",1.5,null,true]}'
    assert dumps("ü\u2028") == b'"\\u00fc\\u2028"'
    with pytest.raises(TypeError):
        dumps(object())
