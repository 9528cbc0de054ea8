"""Dragging zooms all charts and fetches finer data, with Shift one chart; a double click goes back."""

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
    assert max(steps) - min(steps) + 1 == len(steps), "every point between its first and its last step"
    assert 0.4 * LONG_STEPS < steps[0] < 0.7 * LONG_STEPS
    other = drawn(page, "train/progress")
    assert other.get_attribute("data-width") == "1", "all charts are zoomed"

    chart.locator(".plot").dblclick()
    expect(chart).not_to_have_attribute("data-width", "1")
    chart.locator(".plot").dblclick()
    expect(chart).to_have_attribute("data-width", full)
    expect(page.locator("#zoom")).to_be_hidden()


def test_shift_zooms_one_chart_alone(long_page):
    page = long_page.open("q=train")
    chart = drawn(page, "train/loss")
    full = chart.get_attribute("data-width")
    page.keyboard.down("Shift")
    drag(page, chart, 0.5, 0.504)
    drag(page, chart, 0.2, 0.3)
    page.keyboard.up("Shift")
    expect(chart).not_to_have_attribute("data-width", full)
    expect(page.locator("#zoom")).to_be_hidden()
    expect(drawn(page, "train/progress")).to_have_attribute("data-width", full)
    chart.locator(".plot").dblclick()
    expect(chart).to_have_attribute("data-width", full)


def test_zoom_is_in_steps_whatever_the_axis(long_page):
    page = long_page.open("x=relative&q=train")
    chart = drawn(page, "train/loss")
    full = int(chart.get_attribute("data-width"))
    drag(page, chart, 0.4, 0.6)
    expect(page.locator("#zoom")).to_be_visible()
    expect(chart).not_to_have_attribute("data-draws", "1")
    assert int(chart.get_attribute("data-width")) <= full
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
