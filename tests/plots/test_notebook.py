"""`run.plot`: a figure for a notebook, and words for whoever asks for what is not there."""

import sys

import numpy as np
import pytest

go = pytest.importorskip("plotly.graph_objects")


def test_a_pattern_is_a_line_each_or_a_band(layered_run):
    figure = layered_run.plot("*/loss")
    assert isinstance(figure, go.Figure)
    assert [trace.name for trace in figure.data if trace.showlegend is not False] == ["train/loss", "val/loss"]
    band = layered_run.plot("attention_entropy/layer_*", band="std", start=10, stop=200, half_life=5, title="mine")
    assert band.layout.title.text == "mine"
    assert [trace.name for trace in band.data if trace.showlegend is not False] == ["layered"]
    np.testing.assert_array_equal(band.layout.xaxis.range, [10, 199])


def test_other_kinds(layered_run):
    assert layered_run.plot("attention_entropy/*", kind="heatmap", theme="dark").data[0].type == "heatmap"
    assert layered_run.plot("attention_entropy/*", kind="latest").data[0].type == "bar"
    with pytest.raises(ValueError, match="kind must be line, heatmap or latest, got 'pie'"):
        layered_run.plot("*", kind="pie")


def test_what_is_not_there_is_said(layered_run, monkeypatch):
    with pytest.raises(KeyError, match="no series that matches 'nope"):
        layered_run.plot("nope*")
    with pytest.raises(ValueError, match="half_life"):
        layered_run.plot("train/loss", half_life=-1)
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    with pytest.raises(ImportError, match=r"pip install 'holter\[serve\]'"):
        layered_run.plot("train/loss")


def test_matplotlib_that_is_missing_is_said(layered_run, tmp_path, monkeypatch):
    from holter.plots import line_chart, save

    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'holter\[plot\]'"):
        save(line_chart([layered_run], ["train/loss"]), tmp_path / "x.png")
