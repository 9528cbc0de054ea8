"""Plotly figures are strict JSON, escape the texts of a run, and draw gaps, extremes and non-finite values."""

import base64
import json
import subprocess
import sys

import numpy as np
import pytest

from holter.plots import (
    Chart,
    Line,
    Threshold,
    View,
    band_chart,
    heatmap_chart,
    latest_chart,
    line_chart,
    speed_chart,
    to_plotly,
)
from holter.plots.render.plotly_drawing import typed_array

EVIL = "<i>&amp;%{evil}$y$<br>"
FAMILY = [f"attention_entropy/layer_{layer}" for layer in range(12)]


def decoded(array: dict[str, str]) -> np.ndarray:
    flat = np.frombuffer(base64.b64decode(array["bdata"]), f"<{array['dtype']}")
    return flat.reshape([int(size) for size in array["shape"].split(",")]) if "shape" in array else flat


def traces(figure, role=None) -> list[dict]:
    return [trace for trace in figure["data"] if trace.get("meta", {}).get("role") == role]


def line_with(**columns) -> Line:
    y = columns.pop("y")
    steps = np.arange(len(y))
    return Line("line", steps.astype(float), np.array(y, float), steps, steps, **columns)


@pytest.fixture(scope="module")
def charts(layered_run, long_run) -> dict[str, Chart]:
    return {
        "line": line_chart([layered_run, long_run], ["train/loss", "noisy"], View(half_life=20, x="wall")),
        "log": line_chart(
            [long_run], ["noisy"], View(log_y=True, trim_outliers=True), thresholds=[Threshold(1.5, "limit")]
        ),
        "band": band_chart(layered_run, FAMILY, "quantile", View(x="relative")),
        "heatmap": heatmap_chart(layered_run, FAMILY),
        "logarithmic heatmap": heatmap_chart(layered_run, FAMILY, View(log_y=True, x="metric:train/loss")),
        "latest": latest_chart([layered_run], FAMILY),
        "speed": speed_chart([layered_run]),
        "window": line_chart([long_run], ["noisy"], View(start=69_000, stop=71_000)),
    }


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_figures_are_strict_json_accepted_by_plotly(charts, theme):
    go = pytest.importorskip("plotly.graph_objects")
    for name, chart in charts.items():
        figure = to_plotly(chart, theme)
        assert json.loads(json.dumps(figure, allow_nan=False)) == figure, name
        go.Figure(figure)  # raises for unknown attributes


def test_plotly_is_not_imported():
    program = """
import sys, numpy as np
from holter.plots import Chart, Line, to_plotly
steps = np.arange(3)
to_plotly(Chart("line", "t", lines=(Line("l", steps * 1.0, steps * 1.0, steps, steps),)))
print([name for name in ("plotly", "pandas", "matplotlib", "pyarrow", "ruptures", "torch") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.array([1.5, np.nan, np.inf, -np.inf]), "f8"),
        (np.array([[1, 2], [3, 4]], np.float32), "f4"),
        (np.array([0, 2**31 - 1]), "i4"),
        (np.array([0, 2**31]), "f8"),
        (np.array([True, False]), "u1"),
        (np.empty(0), "f8"),
    ],
)
def test_typed_arrays_round_trip(values, dtype):
    array = typed_array(values)
    assert array["dtype"] == dtype
    np.testing.assert_array_equal(decoded(array), values)


def test_dates_are_milliseconds_since_1970():
    array = typed_array(np.array(["1970-01-01T00:00:01.5", "NaT"], "datetime64[us]"))
    np.testing.assert_array_equal(decoded(array), [1500.0, np.nan])


def test_texts_of_run_are_escaped(record):
    steps = np.arange(40)
    names = [f"{EVIL}/layer_{layer}" for layer in range(4)]
    values = np.r_[np.nan, -1.0, np.ones(38)]
    run = record(
        "evil", {**dict.fromkeys(names, (steps, values)), f"mark/{EVIL}": (steps[5:6], values[5:6])}, name=EVIL
    )
    view = View(log_y=True, half_life=2, x=f"metric:{names[0]}")
    made = [
        line_chart([run], names, view, thresholds=[Threshold(1.0, EVIL)]),
        line_chart([run, run], names[:1]),
        band_chart({EVIL: [run]}, names),
        heatmap_chart(run, names),
        latest_chart([run], names),
        speed_chart([run], title=EVIL),
    ]
    for chart in made:
        texts = shown_texts(to_plotly(chart)) + shown_texts(to_plotly(chart, compact=True))
        assert any("&lt;i&gt;&amp;amp;&#37;{evil}&#36;y&#36;&lt;br&gt;" in text for text in texts), chart.kind
        for text in texts:
            bare = text.replace("<b>", "").replace("</b>", "").replace("<extra></extra>", "")
            assert not set(bare) & set("<>$"), text
            assert "%{evil}" not in text
            assert "&amp;" not in text.replace("&amp;amp;", "")


def shown_texts(value, key="") -> list[str]:
    """All displayed texts of a figure."""
    if isinstance(value, dict):
        return [
            text for inner, part in value.items() if inner not in {"meta", "bdata"} for text in shown_texts(part, inner)
        ]
    if isinstance(value, list):
        return [text for part in value for text in shown_texts(part, key)]
    return [value] if isinstance(value, str) and key != "uirevision" else []


def test_long_names_are_shortened_with_full_name_in_meta(record):
    name = "a" * 5000 + "/" + "z" * 5000
    run = record("run", {name: (np.arange(3), np.ones(3))})
    figure = to_plotly(line_chart([run], [name]))
    assert max(map(len, shown_texts(figure))) < 400
    title = figure["layout"]["title"]["text"]
    assert title.startswith("aaa")
    assert title.endswith("zzz")
    assert traces(figure)[0]["meta"]["name"] == name


def test_ribbon_contains_every_extreme(long_run):
    chart = line_chart([long_run], ["noisy"], View(px=800))
    (ribbon,) = traces(to_plotly(chart), "ribbon")
    x, y = decoded(ribbon["x"]), decoded(ribbon["y"])
    assert ribbon["fill"] == "toself"
    assert np.nanmax(y) == 50.0
    line = chart.lines[0]
    at = int(np.nanargmax(line.upper))
    assert x[np.nanargmax(y)] == line.x[at]
    # One closed outline per stretch without a gap.
    stretches = np.split(y, np.flatnonzero(np.isnan(y)))
    for stretch in stretches:
        inner = stretch[~np.isnan(stretch)]
        assert inner[0] == inner[-1]


def test_gaps_isolated_points_and_nonfinite_values_are_drawn(record):
    values = np.ones(100)
    values[[10, 12]] = np.nan
    run = record("run", {"x": (np.arange(100), values)})
    figure = to_plotly(line_chart([run], ["x"]))
    (line,) = traces(figure)
    assert line["connectgaps"] is False
    (isolated,) = traces(figure, "isolated")
    np.testing.assert_array_equal(decoded(isolated["x"]), [11])
    (bad,) = traces(figure, "nonfinite")
    assert bad["marker"]["symbol"] == "triangle-up"
    assert bad["yaxis"] == "y2"
    np.testing.assert_array_equal(decoded(bad["x"]), [10, 12])
    assert bad["text"] == ["x  <b>NaN at step 10</b>", "x  <b>NaN at step 12</b>"]
    assert figure["layout"]["yaxis2"]["range"] == [0, 1]


def test_lines_with_few_points_have_markers():
    few = to_plotly(Chart("line", "", lines=(line_with(y=[1, 2, 3]),)))
    many = to_plotly(Chart("line", "", lines=(line_with(y=np.ones(100)),)))
    assert traces(few)[0]["mode"] == "lines+markers"
    assert traces(many)[0]["mode"] == "lines"


def test_logarithmic_axis_marks_nonpositive_values():
    chart = Chart(
        "line",
        "",
        lines=(line_with(y=[1, 0, -5, 100], lower=np.array([0.5, -1, -6, 50]), upper=np.array([2, 1, -4, 200])),),
        log_y=True,
    )
    figure = to_plotly(chart)
    assert figure["layout"]["yaxis"]["type"] == "log"
    (marks,) = traces(figure, "nonpositive")
    np.testing.assert_array_equal(decoded(marks["x"]), [1, 2])
    (ribbon,) = traces(figure, "ribbon")
    y = decoded(ribbon["y"])
    # A ribbon that reaches below 0 ends at the smallest positive value.
    assert y[np.isfinite(y) & (y > 0)].min() == 0.5


def test_values_beyond_float32_are_drawn(record):
    values = np.array([1.7e308, -1.7e308, 1.0, 0.0])
    run = record("huge", {f"x/layer_{layer}": (np.arange(4), values) for layer in range(2)})
    for chart in (
        heatmap_chart(run, ["x/layer_0", "x/layer_1"]),
        line_chart([run], run.names(), View(trim_outliers=True)),
    ):
        assert to_plotly(chart)["data"]


def test_nan_cells_of_heatmap_have_alarm_color(layered_run):
    figure = to_plotly(heatmap_chart(layered_run, FAMILY))
    (alarm,) = traces(figure, "nonfinite")
    z = decoded(alarm["z"])
    assert z.shape == (12, 300)
    assert (z[3, 150:155] == 1).all()
    assert np.isnan(z).sum() == z.size - 5
    cells = figure["data"][0]
    assert cells["zmin"] < cells["zmax"]
    assert cells["y"] == [f"layer_{layer}" for layer in range(12)]


def test_uirevision_changes_with_axes_only(long_run):
    views = [View(), View(px=400), View(log_y=True), View(x="wall")]
    revisions = [to_plotly(line_chart([long_run], ["noisy"], view))["layout"]["uirevision"] for view in views]
    assert revisions[0] == revisions[1]
    assert len(set(revisions)) == 3


def test_metric_named_step_is_not_the_step_axis(record):
    run = record("run", {"loss": (np.arange(5), np.ones(5)), "step": (np.arange(5), np.arange(5) * 0.1)})
    axis = to_plotly(line_chart([run], ["loss"], View(x="metric:step", start=0, stop=5)))["layout"]["xaxis"]
    assert "range" not in axis
    assert axis["unifiedhovertitle"]["text"] == "step %{x:.5~g}"


def test_modebar_has_no_upload_button(charts):
    for chart in charts.values():
        assert "sendChartToCloud" in to_plotly(chart)["layout"]["modebar"]["remove"]


def test_compact_figure_has_texts_in_meta_only(charts):
    for chart in charts.values():
        layout = to_plotly(chart, compact=True)["layout"]
        assert "title" not in layout
        assert layout["showlegend"] is False
        assert layout["meta"]["title"] == chart.title
        assert layout["meta"]["note"] == chart.note


def test_themes_have_same_data(charts):
    for chart in charts.values():
        light, dark = to_plotly(chart, "light"), to_plotly(chart, "dark")
        assert light != dark
        assert [trace.get("x") for trace in light["data"]] == [trace.get("x") for trace in dark["data"]]
        assert light["layout"]["paper_bgcolor"] == dark["layout"]["paper_bgcolor"] == "rgba(0,0,0,0)"
