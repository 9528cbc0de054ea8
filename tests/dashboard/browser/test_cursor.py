"""The cursor is shared: where the pointer is in one chart, a line stands in all, and each tells its values there."""

import pytest

import holter
import sample_runs
from dashboard_page import drawn, expect


def hover_at(page, chart, part):
    area = chart.locator(".nsewdrag").first.bounding_box()
    page.mouse.move(area["x"] + area["width"] * part, area["y"] + area["height"] / 2)


def test_cursor_is_shared(runs_page):
    page = runs_page.open("run=prose&q=val")
    one, other = drawn(page, "val/loss"), drawn(page, "val/ppl")
    hover_at(page, one, 0.5)
    expect(one.locator(".cursor")).to_be_visible()
    expect(other.locator(".cursor")).to_be_visible()
    places = [
        chart.locator(".cursor").bounding_box()["x"] - chart.locator(".nsewdrag").first.bounding_box()["x"]
        for chart in (one, other)
    ]
    assert places[0] > 50
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


def test_cursor_names_what_is_not_finite(runs_page):
    page = runs_page.open("run=prose&q=train/loss")
    chart = drawn(page, "train/loss")
    place = """(card, step) => {
        const axis = card.querySelector('.js-plotly-plot')._fullLayout.xaxis;
        return axis.l2p(step) / axis._length;
    }"""
    hover_at(page, chart, chart.evaluate(place, sample_runs.INF_STEP))
    expect(page.locator("#tooltip .sign")).to_contain_text("Inf")


def test_values_at_the_cursor_are_those_of_the_run(runs_page, runs_root):
    page = runs_page.open("run=prose&q=val/loss")
    chart = drawn(page, "val/loss")
    hover_at(page, chart, 0.5)
    expect(page.locator("#tooltip")).to_be_visible()
    step = int(page.locator("#tooltip p").inner_text().removeprefix("step ").replace(",", ""))
    shown = float(page.locator("#tooltip b").first.inner_text())
    series = holter.open_run(runs_root / "prose").series("val/loss")
    logged = dict(zip(series.steps.tolist(), series.values.tolist(), strict=True))
    assert shown == pytest.approx(logged[step], rel=1e-4)
