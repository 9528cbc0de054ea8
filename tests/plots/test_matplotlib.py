"""Matplotlib figures: every chart and file format, from several threads, without pyplot."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from holter.plots import Threshold, View, band_chart, heatmap_chart, latest_chart, line_chart, save, to_matplotlib

pytest.importorskip("matplotlib")
FAMILY = [f"attention_entropy/layer_{layer}" for layer in range(12)]
MAGIC = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


@pytest.fixture
def charts(layered_run, long_run):
    return [
        line_chart([layered_run], ["train/loss", "val/loss"], View(half_life=5), thresholds=[Threshold(2.0, "target")]),
        line_chart([long_run], ["noisy"], View(log_y=True, trim_outliers=True)),
        band_chart([layered_run], FAMILY, "minmax", View(x="wall")),
        heatmap_chart(layered_run, FAMILY, View(log_y=True)),
        heatmap_chart(layered_run, FAMILY, View(x="wall")),
        latest_chart([layered_run], FAMILY),
    ]


@pytest.mark.parametrize("suffix", MAGIC)
def test_suffix_determines_file_format(charts, tmp_path, suffix):
    path = tmp_path / f"chart.{suffix}"
    save(charts[0], path)
    assert path.read_bytes().startswith(MAGIC[suffix])
    again = tmp_path / f"again.{suffix}"
    save(charts[0], again)
    assert len(again.read_bytes()) == len(path.read_bytes())


def test_unsupported_suffix_raises(charts, tmp_path):
    with pytest.raises(ValueError, match=r"the suffix must be one of \.png, \.svg, \.pdf, got '\.gif'"):
        save(charts[0], tmp_path / "chart.gif")
    with pytest.raises(ValueError, match="got 'none'"):
        save(charts[0], tmp_path / "chart")


def test_threads_can_draw_concurrently(charts, tmp_path):
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda pair: save(pair[1], tmp_path / f"{pair[0]}.png"), enumerate(charts)))
    assert len(list(tmp_path.glob("*.png"))) == len(charts)


def test_figure_has_data_of_chart(charts, long_run):
    axes = to_matplotlib(charts[1]).axes[0]
    chart = charts[1]
    drawn = next(line for line in axes.lines if line.get_label() == "noisy")
    np.testing.assert_array_equal(drawn.get_ydata(), chart.lines[0].y)
    assert axes.get_yscale() == "log"
    assert axes.get_ylim() == pytest.approx(chart.y_range)
    assert axes.get_title(loc="left") == "noisy"
    # The envelope's polygon reaches the spike.
    spiky = to_matplotlib(line_chart([long_run], ["noisy"])).axes[0]
    assert max(path.vertices[:, 1].max() for path in spiky.collections[0].get_paths()) == 50.0


def test_dollars_and_underscores_are_literal(record):
    run = record("run", {"_$x$": (np.arange(3), np.ones(3)), "y": (np.arange(3), np.ones(3))})
    axes = to_matplotlib(line_chart([run], ["_$x$", "y"])).axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["\u200b_\\$x\\$", "y"]


def test_pyplot_is_not_imported():
    program = """
import sys, numpy as np
from holter.plots import Chart, Line, to_matplotlib
steps = np.arange(3)
to_matplotlib(Chart("line", "t", lines=(Line("l", steps * 1.0, steps * 1.0, steps, steps),)))
print("matplotlib.pyplot" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
