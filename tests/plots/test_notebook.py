"""`Run.plot` returns plotly figures and raises helpful errors."""

import sys

import numpy as np
import pytest

go = pytest.importorskip("plotly.graph_objects")


def test_pattern_gives_lines_or_band(layered_run):
    figure = layered_run.plot("*/loss")
    assert isinstance(figure, go.Figure)
    assert [trace.name for trace in figure.data if trace.showlegend is not False] == ["train/loss", "val/loss"]
    band = layered_run.plot("attention_entropy/layer_*", band="std", start=10, stop=200, half_life=5, title="mine")
    assert band.layout.title.text == "mine"
    assert [trace.name for trace in band.data if trace.showlegend is not False] == ["layered"]
    np.testing.assert_array_equal(band.layout.xaxis.range, [10, 199])


def test_heatmap_and_bars(layered_run):
    assert layered_run.plot("attention_entropy/*", kind="heatmap", theme="dark").data[0].type == "heatmap"
    assert layered_run.plot("attention_entropy/*", kind="latest").data[0].type == "bar"
    with pytest.raises(ValueError, match="kind must be line, heatmap or latest, got 'pie'"):
        layered_run.plot("*", kind="pie")


def test_missing_series_and_missing_plotly_raise(layered_run, monkeypatch):
    with pytest.raises(KeyError, match=r"no series of .* matches 'nope\*'; names\(\) lists all"):
        layered_run.plot("nope*")
    with pytest.raises(ValueError, match="half_life"):
        layered_run.plot("train/loss", half_life=-1)
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    with pytest.raises(ImportError, match=r"pip install 'holter\[serve\]'"):
        layered_run.plot("train/loss")


def test_missing_matplotlib_raises(layered_run, tmp_path, monkeypatch):
    from holter.plots import line_chart, save

    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'holter\[plot\]'"):
        save(line_chart([layered_run], ["train/loss"]), tmp_path / "x.png")
