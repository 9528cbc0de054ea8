"""Dragging zooms all charts and fetches finer data, with Shift only one chart. A double click goes back."""

import re
from urllib.parse import parse_qs, urlsplit

from dashboard_page import LONG_STEPS, drag, drawn, expect, lines


def test_zoom_fetches_finer_data_down_to_the_points_and_back(long_page):
    page = long_page.open("q=train")
    chart = drawn(page, "train/loss")
    full = chart.get_attribute("data-width")
    assert int(full) >= 64
    drag(page, chart, 0.5, 0.55)
    expect(page.locator("#zoom-text")).to_contain_text("steps")
    expect(chart).not_to_have_attribute("data-width", full)
    drag(page, chart, 0.5, 0.55)
    expect(chart).to_have_attribute("data-width", "1")
    (line,) = lines(chart)
    steps = [step for step in line["x"] if step is not None]
    assert len(steps) > 50
    assert max(steps) - min(steps) + 1 == len(steps), "every point between the first and the last step"
    assert 0.4 * LONG_STEPS < steps[0] < 0.7 * LONG_STEPS
    expect(drawn(page, "train/progress")).to_have_attribute("data-width", "1")

    chart = drawn(page, "train/loss")
    chart.locator(".plot").dblclick()
    expect(chart).not_to_have_attribute("data-width", "1")
    chart.locator(".plot").dblclick()
    expect(chart).to_have_attribute("data-width", full)
    expect(page.locator("#zoom")).to_be_hidden()


def test_shift_zooms_only_one_chart(long_page):
    page = long_page.open("q=train")
    chart = drawn(page, "train/loss")
    full = chart.get_attribute("data-width")
    page.keyboard.down("Shift")
    drag(page, chart, 0.5, 0.504)  # too short to be a drag
    drag(page, chart, 0.2, 0.3)
    page.keyboard.up("Shift")
    expect(chart).not_to_have_attribute("data-width", full)
    expect(page.locator("#zoom")).to_be_hidden()
    expect(drawn(page, "train/progress")).to_have_attribute("data-width", full)
    chart = drawn(page, "train/loss")
    chart.locator(".plot").dblclick()
    expect(chart).to_have_attribute("data-width", full)


def test_zoom_on_a_time_axis_selects_steps(long_page):
    for axis in ("relative", "wall"):
        page = long_page.open(f"x={axis}&q=train")
        chart = drawn(page, "train/loss")
        drag(page, chart, 0.4, 0.6)
        expect(page.locator("#zoom")).to_be_visible()
        expect(page).to_have_url(re.compile("stop="))
        view = parse_qs(urlsplit(page.url).fragment)
        start, stop = int(view["start"][0]), int(view["stop"][0])
        assert 0 < start < stop < LONG_STEPS
        expect(chart).not_to_have_attribute("data-draws", "1")
        page.get_by_role("button", name="all steps").click()
        expect(page.locator("#zoom")).to_be_hidden()


def test_browser_back_undoes_a_zoom(long_page):
    page = long_page.open("q=train")
    chart = drawn(page, "train/loss")
    full = chart.get_attribute("data-width")
    drag(page, chart, 0.1, 0.12)
    expect(chart).not_to_have_attribute("data-width", full)
    page.go_back()
    expect(chart).to_have_attribute("data-width", full)
    expect(page.locator("#zoom")).to_be_hidden()
