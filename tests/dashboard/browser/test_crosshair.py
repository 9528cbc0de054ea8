"""The crosshair is shared: all charts show a line at the x of the pointer, and their values there."""

import re

import pytest

import holter
import sample_runs
from dashboard_page import drawn, eventually, expect, hover_at

# The distance of the crosshair from the left end of the axis, as a part of its length.
CROSSHAIR = """card => {
    const [line, area] = ['.cursor', '.nsewdrag'].map(name => card.querySelector(name).getBoundingClientRect());
    return (line.x - area.x) / area.width;
}"""


def test_crosshair_is_shared(runs_page):
    page = runs_page.open("run=prose&q=val")
    drawn(page, "val/loss")
    other = drawn(page, "val/ppl")
    one = drawn(page, "val/loss")
    hover_at(page, one, 0.5)
    for chart in (one, other):
        expect(chart.locator(".cursor")).to_be_visible()
        assert chart.evaluate(CROSSHAIR) == pytest.approx(0.5, abs=0.01)
    tooltip = page.locator("#tooltip")
    expect(tooltip).to_contain_text("step")
    expect(tooltip).to_contain_text("val/loss")
    expect(other.locator(".note b")).to_have_count(1)
    note = other.locator(".note").inner_text()
    hover_at(page, one, 0.05)
    expect(other.locator(".note")).not_to_have_text(note)
    page.mouse.move(5, 5)
    expect(tooltip).to_be_hidden()
    expect(other.locator(".cursor")).to_be_hidden()
    expect(other.locator(".note b")).to_have_count(0)


def test_crosshair_on_a_time_axis(runs_page):
    page = runs_page.open("run=prose&q=val&x=wall")
    drawn(page, "val/ppl")
    one = drawn(page, "val/loss")
    hover_at(page, one, 0.5)
    for chart in (one, page.locator('.card[data-key="val/ppl"]')):
        expect(chart.locator(".cursor")).to_be_visible()
        assert chart.evaluate(CROSSHAIR) == pytest.approx(0.5, abs=0.01)
    expect(page.locator("#tooltip p")).to_have_text(re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"))


def test_tooltip_names_nonfinite_values(runs_page):
    page = runs_page.open("run=prose&q=train/loss")
    chart = drawn(page, "train/loss")
    low, high = chart.evaluate("card => card.querySelector('.js-plotly-plot').layout.xaxis.range")
    hover_at(page, chart, (sample_runs.INF_STEP - low) / (high - low))
    expect(page.locator("#tooltip .annotation")).to_contain_text("Inf")


def test_tooltip_shows_the_logged_values(runs_page, runs_root):
    page = runs_page.open("run=prose&q=val/loss")
    chart = drawn(page, "val/loss")
    hover_at(page, chart, 0.5)
    heading = eventually(page.locator("#tooltip p").inner_text)
    step = int(heading.removeprefix("step ").replace(",", ""))
    shown = float(page.locator("#tooltip b").first.inner_text())
    series = holter.open_run(runs_root / "prose").series("val/loss")
    logged = dict(zip(series.steps.tolist(), series.values.tolist(), strict=True))
    assert shown == pytest.approx(logged[step], rel=1e-4)
