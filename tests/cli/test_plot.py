"""`holter plot`: drawings in characters that match the values."""

import math
import re

import numpy as np
import pytest

import holter
from holter.cli.commands.plot.drawing.braille import BRAILLE, BrailleGrid

HEIGHT = 8


def picture(output: str) -> list[str]:
    """Return the rows of the (first) frame, without its scale."""
    return [line.split("|", 1)[1].ljust(200) for line in output.splitlines() if "|" in line]


def dots(rows: list[str]) -> np.ndarray:
    """Return the dots of a picture, shape (4 * rows, 2 * columns)."""
    bits = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
    codes = np.array([[max(ord(character) - BRAILLE, 0) for character in row] for row in rows])
    found = np.zeros((4 * codes.shape[0], 2 * codes.shape[1]), bool)
    for y in range(4):
        for x in range(2):
            found[y::4, x::2] = (codes & bits[y][x]) > 0
    return found


def drawn(invoke, *arguments: str) -> np.ndarray:
    result = invoke("plot", *arguments, "--height", HEIGHT, "--width", "80")
    assert result.status == 0, result
    return dots(picture(result.stdout))


@pytest.fixture
def record(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def make(name: str, **series: list[tuple[int, float]]) -> None:
        with holter.Logger(f"runs/{name}", journal_points=1 << 12) as logger:
            for metric, points in series.items():
                for step, value in points:
                    logger.log(step, metric, value)

    return make


def test_a_line_follows_its_values(record, invoke):
    record("run", loss=[(step, float(step)) for step in range(100)])
    found = drawn(invoke, "run", "loss")
    heights = [np.flatnonzero(column).mean() for column in found.T if column.any()]
    assert heights == sorted(heights, reverse=True)
    assert found[-1, 0]
    assert found[0].any()
    lines = invoke("plot", "run", "loss", "--width", "60").stdout.splitlines()
    assert lines[0] == "loss"
    assert lines[1].startswith("99 |")
    assert lines[16].startswith(" 0 |")
    assert re.fullmatch(r" +0 +step +99", lines[18])
    assert lines[19] == "loss  99"


def test_a_spike_of_one_step_keeps_its_height(record, invoke):
    """Catches a picture that drops points of a long series."""
    record("run", loss=[(step, 1000.0 if step == 61_803 else math.sin(step)) for step in range(100_000)])
    found = drawn(invoke, "run", "loss")
    assert found[0].sum() == 1
    (x,) = np.flatnonzero(found[0])
    width = 1 + np.flatnonzero(found.any(axis=0))[-1]
    assert abs(x / width - 0.618) < 0.02


def test_nan_and_infinities_are_marked_and_noted(record, invoke):
    points = [(step, math.nan if step == 50 else math.inf if step == 99 else 1.0) for step in range(100)]
    record("run", loss=points)
    output = invoke("plot", "run", "loss").stdout
    (bottom,) = (line for line in output.splitlines() if "+" in line)
    assert bottom.count("×") == 2
    assert bottom.endswith("×")
    assert "× not finite: NaN at step 50 and 1 more" in output


def test_a_gap_stays_empty(record, invoke):
    record("run", loss=[(step, math.nan if 40 <= step < 60 else 1.0) for step in range(100)])
    found = drawn(invoke, "run", "loss").any(axis=0)
    columns = np.flatnonzero(found)
    assert np.diff(columns).max() > 0.15 * (columns[-1] + 1)


def test_each_line_has_a_panel_without_colors(runs, invoke):
    output = invoke("plot", "prose", "attention_entropy/layer_[12]", "--with", "code").stdout
    panels = re.findall(r"^(prose|code) · attention_entropy/layer_[12]  3\.\d+$", output, re.MULTILINE)
    assert panels == ["prose", "prose", "code", "code"]
    scales = re.findall(r"^ *(\S+) \|", output, re.MULTILINE)
    assert len(scales) == 4 * 4
    assert scales[:4] == scales[8:12], "panels of a metric share a scale"


def test_a_band_is_a_line_in_a_ribbon(runs, invoke):
    output = invoke("plot", "prose", "attention_entropy/*", "--band", "minmax").stdout
    assert output.splitlines()[0] == "attention_entropy/layer_*"
    assert re.search(r"^prose  \S+  \(.*min.max\)$", output, re.MULTILINE)
    assert "12 series" in output
    found = dots(picture(output))
    assert found[:, 10].sum() > 12


def test_a_heatmap_has_a_row_for_each_series_with_the_last_on_top(runs, invoke):
    result = invoke("plot", "prose", "attention_entropy/*", "--heatmap", "--width", "80")
    rows = [line for line in result.stdout.splitlines() if "|" in line]
    assert [row.split("|")[0].strip() for row in rows] == [f"layer_{layer}" for layer in range(11, -1, -1)]
    shades = " .:-=+*#%@"
    brightness = [[shades.index(cell) for cell in row.split("|")[1]] for row in rows]
    assert brightness[-1][0] == 9, "layer_0 starts highest"
    assert all(list(row) == sorted(row, reverse=True) for row in brightness)
    assert re.search(r"^ +0 +step +29\d$", result.stdout, re.MULTILINE)


def test_a_heatmap_marks_nan(record, invoke):
    points = [(step, math.nan if step == 77_777 else float(step % 10)) for step in range(80_000)]
    record("run", **{f"x/layer_{layer}": points if layer == 3 else points[:100] for layer in range(4)})
    output = invoke("plot", "run", "x/*", "--heatmap").stdout
    assert [line.count("×") for line in output.splitlines() if "|" in line] == [1, 0, 0, 0]


def test_window_smoothing_and_logarithm(record, invoke):
    record("run", loss=[(step, 10.0 ** (step // 100)) for step in range(400)])
    output = invoke("plot", "run", "loss", "--start", "100", "--stop", "300").stdout
    assert re.search(r"^ +100 +step +299$", output, re.MULTILINE)
    logarithmic = invoke("plot", "run", "loss", "--log-y").stdout
    assert [line.split("|")[0].strip() for line in logarithmic.splitlines() if re.match(r"^ *\S+ \|", line)] == [
        "1000",
        "100",
        "10",
        "1",
    ]
    assert "half-life 50 steps" in invoke("plot", "run", "loss", "--smooth", "50").stdout


def test_values_without_logarithm_are_noted(record, invoke):
    record("run", loss=[(0, -1.0), (1, 0.0), (2, 10.0), (3, 100.0)])
    output = invoke("plot", "run", "loss", "--log-y").stdout
    assert "2 points not shown: the logarithm needs a positive value" in output


@pytest.mark.parametrize("axis", ["relative", "wall", "metric:grad_norm_total"])
def test_x_axes(axis, runs, invoke):
    result = invoke("plot", "prose", "train/loss", "--x", axis)
    assert result.status == 0
    expected = {"relative": "time since the start", "wall": "time (UTC)", "metric:grad_norm_total": "grad_norm_total"}
    assert expected[axis] in result.stdout


@pytest.mark.parametrize(
    "values",
    [[5.0], [0.0, 0.0], [math.nan], [math.inf, -math.inf], [8e307, -8e307], [5e-324, 0.0]],
    ids=str,
)
def test_extreme_values_can_be_drawn(values, record, invoke):
    record("run", loss=list(enumerate(values)))
    for options in ((), ("--log-y",), ("--band", "std"), ("--heatmap",), ("--heatmap", "--log-y")):
        result = invoke("plot", "run", "loss", *options)
        assert result.status == 0, result


def test_distant_steps_can_be_drawn(record, invoke):
    record("run", loss=[(-(1 << 62), 1.0), (0, 2.0), (1 << 62, 3.0)])
    assert drawn(invoke, "run", "loss").sum() > 3


def test_marks_are_noted(tmp_path, invoke):
    for _ in range(2):
        with holter.Logger("runs/run", resume="allow", journal_points=1 << 12) as logger:
            for step in range(50):
                logger.log(step, "loss", 1.0)
            logger.log(25, "mark/check\x1b[31mpoint", 1.0)
    output = invoke("plot", "run", "loss").stdout
    assert re.search(r"^marks: .*check\\x1b\[31mpoint \(step 25\)", output, re.MULTILINE)


def test_hostile_names_are_escaped(runs, invoke):
    output = invoke("plot", "code", "*evil", "--title", "\x1b[2J").stdout
    assert "\x1b" not in output
    assert "\\x1b[2J" in output


def test_lines_differ_by_color_on_a_terminal(runs, terminal):
    session = terminal("plot", "prose", "train/loss", "--with", "code", "--height", "6", COLORTERM="truecolor")
    session.finish()
    assert session.process.returncode == 0, session.text
    assert len(set(re.findall(r"\x1b\[38;2;\d+;\d+;\d+m", session.text))) == 2
    assert "└" in session.plain
    assert "━━ prose" in session.plain
    assert "━━ code" in session.plain
    assert max(map(len, session.plain.splitlines())) <= 100


def test_no_color_on_a_terminal_gives_panels(runs, terminal):
    session = terminal("plot", "prose", "train/loss", "--with", "code", NO_COLOR="1")
    session.finish()
    assert session.plain.count("└") == 2
    assert not re.search(r"\x1b\[3", session.text)


def test_dots_outside_the_grid_are_ignored():
    grid = BrailleGrid(3, 2)
    grid.line((-5, -5), (20, 20), "red")
    assert grid.character(0, 0) == (chr(BRAILLE + 0x01 + 0x10), "red")
    assert grid.character(1, 2) == (chr(BRAILLE + 0x01 + 0x10), "red")
    assert grid.character(1, 0) == (" ", "")
