"""Charts show bands and heatmaps of families, spikes and NaN. The menu of a chart exports it and changes it."""

import csv
import io

import pytest
from playwright.sync_api import Request

import sample_runs
from dashboard_page import LONG_STEPS, SPIKE, drawn, eventually, expect, lines, traces

ENTROPY = "attention_entropy/layer_*"


def choose(chart, mode):
    """Choose how a family is drawn, and wait for its new traces."""
    chart.locator(f'.modes [data-value="{mode}"]').click()
    expect(chart.locator(f'.modes [data-value="{mode}"]')).to_have_attribute("aria-pressed", "true")


def has_type(kind):
    return lambda found: any(trace["type"] == kind for trace in found)


def layout(chart, part):
    return chart.evaluate("(card, part) => card.querySelector('.js-plotly-plot').layout?.[part]", part)


def choose_in_menu(page, chart, key, item):
    chart.get_by_role("button", name=f"more for {key}").click()
    page.locator("#menu").get_by_role("button", name=item).click()


def test_family_is_a_band_and_switches_modes(runs_page):
    page = runs_page.open("run=prose&q=attention_entropy")
    chart = drawn(page, ENTROPY)
    expect(chart).to_have_attribute("data-kind", "band")
    assert len(lines(chart)) == 1
    assert [trace for trace in traces(chart) if trace["meta"].get("role") == "ribbon"]

    choose(chart, "heatmap")
    found = eventually(lambda: traces(chart), has_type("heatmap"))
    heatmap = next(trace for trace in found if trace["type"] == "heatmap")
    assert [row.rpartition("_")[2] for row in heatmap["y"]] == list("012345"), "rows in natural order, from the bottom"
    expect(chart).to_have_attribute("data-kind", "heatmap")

    choose(chart, "each")
    eventually(lambda: len(lines(chart)), lambda count: count == sample_runs.LAYERS)
    expect(chart).to_have_attribute("data-kind", "line")
    for mode in ("minmax", "quantile", "std"):
        choose(chart, mode)
        eventually(lambda: len(lines(chart)), lambda count: count == 1)
        expect(chart).to_have_attribute("data-kind", "band")


def test_latest_value_of_each_layer(runs_page):
    page = runs_page.open("run=prose&run=code&q=attention_entropy")
    chart = drawn(page, ENTROPY)
    choose(chart, "latest")
    bars = [trace for trace in eventually(lambda: traces(chart), has_type("bar")) if trace["type"] == "bar"]
    assert len(bars) == 2
    assert all(len(trace["y"]) == sample_runs.LAYERS for trace in bars)
    expect(chart).to_have_attribute("data-kind", "latest")


def test_heatmap_of_several_runs_shows_the_chosen_run(runs_page):
    page = runs_page.open("run=prose&run=code&q=attention_entropy")
    chart = drawn(page, ENTROPY)
    choose(chart, "heatmap")
    select = chart.get_by_label(f"run of the heatmap {ENTROPY}")
    expect(select).to_have_value("code")
    cell = "card => card.querySelector('.js-plotly-plot').data?.[0].z?.[0][0]"
    of_code = eventually(lambda: chart.evaluate(cell), lambda value: value is not None)
    select.select_option("prose")
    eventually(lambda: chart.evaluate(cell), lambda value: value not in (None, of_code))
    expect(select).to_have_value("prose")


def test_section_switches_all_its_families(runs_page):
    page = runs_page.open("run=prose&q=grad_norm/")
    drawn(page, "grad_norm/blocks.*.mlp.up.weight")
    section = page.locator('#sections > [data-section="grad_norm"]')
    section.locator('.heading [data-value="heatmap"]').click()
    charts = section.locator(".card")
    expect(charts).to_have_count(4)
    for index in range(4):
        expect(charts.nth(index)).to_have_attribute("data-kind", "heatmap")


def test_spike_of_one_step_is_drawn_without_zoom(long_page):
    page = long_page.open("q=train")
    chart = drawn(page, "train/loss")
    assert int(chart.get_attribute("data-width") or 0) >= 64
    highest = max(max(trace["y"]) for trace in traces(chart) if trace["y"])
    assert highest == pytest.approx(SPIKE), f"the spike of {SPIKE} is not among the drawn points of {LONG_STEPS} steps"
    expect(chart.locator(".note")).to_contain_text("1 point =")


def test_nonfinite_values_are_marked(runs_page):
    page = runs_page.open("run=prose&q=train/loss")
    chart = drawn(page, "train/loss")
    expect(chart.locator("h3 .alarm")).to_have_text("1 NaN/Inf")
    marks = [trace for trace in traces(chart) if trace["meta"].get("role") == "nonfinite"]
    assert len(marks) == 1
    assert len(marks[0]["x"]) == 1
    assert marks[0]["x"][0] == pytest.approx(sample_runs.INF_STEP, abs=4)
    expect(chart.locator(".scatterlayer .point").first).to_be_visible()


def test_menu_shows_values_as_a_table(runs_page):
    page = runs_page.open("run=prose&q=train/loss")
    chart = drawn(page, "train/loss")
    choose_in_menu(page, chart, "train/loss", "Values as a table")
    dialog = page.get_by_role("dialog", name="train/loss")
    expect(dialog.locator("tbody tr")).to_have_count(100)
    expect(dialog.locator("tbody tr").nth(sample_runs.INF_STEP)).to_contain_text("∞")
    dialog.get_by_role("button", name="later rows").click()
    expect(dialog.get_by_role("status")).to_have_text("101 to 200 of 400 points")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_menu_exports_files_and_the_command(runs_page):
    page = runs_page.open("run=prose&log=1&q=val/ppl")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    chart = drawn(page, "val/ppl")
    with page.expect_download() as download:
        choose_in_menu(page, chart, "val/ppl", "Download CSV")
    rows = list(csv.reader(io.StringIO(download.value.path().read_text())))
    assert len(rows) == 1 + 400 // 20
    for format_, start in (("PNG", b"\x89PNG"), ("SVG", b"<svg")):
        with page.expect_download() as download:
            choose_in_menu(page, chart, "val/ppl", f"Download {format_}")
        assert download.value.path().read_bytes().startswith(start)
    choose_in_menu(page, chart, "val/ppl", "Copy the holter plot command")
    expect(page.locator("#toast")).to_have_text("command copied")
    assert page.evaluate("() => navigator.clipboard.readText()") == "holter plot runs/prose val/ppl --log-y"


def test_menu_adds_thresholds_change_points_and_a_log_scale(runs_page):
    page = runs_page.open("run=prose&q=train/loss")
    chart = drawn(page, "train/loss")

    def heights():
        return [shape["y0"] for shape in layout(chart, "shapes") or ()]

    chart.get_by_role("button", name="more for train/loss").click()
    page.get_by_label("threshold").fill("1.5")
    page.get_by_role("button", name="Add line").click()
    eventually(heights, lambda found: 1.5 in found)
    assert "threshold=1.5" in page.url
    choose_in_menu(page, chart, "train/loss", "Remove the line at 1.5")
    eventually(heights, lambda found: 1.5 not in found)
    choose_in_menu(page, chart, "train/loss", "Logarithmic")
    eventually(lambda: layout(chart, "yaxis"), lambda axis: axis and axis["type"] == "log")
    expect(page.locator("#log")).to_have_attribute("aria-pressed", "false")
    marks = len(heights())
    choose_in_menu(page, chart, "train/loss", "Mark change points")
    eventually(heights, lambda found: len(found) > marks)
    assert "change=train" in page.url


def test_pinned_charts_come_first_and_are_stored(runs_page):
    page = runs_page.open()
    drawn(page, "val/ppl").get_by_role("button", name="pin val/ppl").click()
    pinned = page.locator("#overview-charts .card").first
    expect(pinned).to_have_attribute("data-key", "val/ppl")
    assert "pin=val" in page.url
    page = runs_page.open()  # without the pin in the URL
    expect(pinned).to_have_attribute("data-key", "val/ppl")
    pinned.get_by_role("button", name="pin val/ppl").click()
    expect(pinned).not_to_have_attribute("data-key", "val/ppl")


def test_train_and_val_can_be_pinned_together(runs_page):
    page = runs_page.open("run=prose")
    choose_in_menu(page, drawn(page, "val/loss"), "val/loss", "Pin together with train/loss")
    both = page.locator('#overview-charts .card[data-key="val/loss + train/loss"]')
    eventually(
        lambda: both.scroll_into_view_if_needed() or both.get_attribute("data-state"), lambda state: state == "drawn"
    )
    assert {line["meta"]["name"] for line in lines(both)} == {"val/loss", "train/loss"}


def has_view(request: Request, **view: object) -> bool:
    """Whether a request is for figures with this view."""
    return request.url.endswith("/figures") and view.items() <= request.post_data_json["view"].items()


def test_smoothing_x_axis_and_marks_are_requested(runs_page):
    page = runs_page.open("run=prose&q=val/loss")
    chart = drawn(page, "val/loss")
    with page.expect_request(lambda request: has_view(request, half_life=100)):
        page.locator("#smoothing").fill("50")
    expect(page.locator("#smoothing-text")).to_have_text("100")
    for axis, kind in (("relative", "linear"), ("wall", "date")):
        with page.expect_request(lambda request, axis=axis: has_view(request, x=axis)):
            page.locator("#x-axis").select_option(axis)
        expect(page.locator("#x-axis")).to_have_value(axis)
        eventually(lambda: layout(chart, "xaxis"), lambda found, kind=kind: found and found["type"] == kind)
    page.locator("#x-axis").select_option("metric")
    with page.expect_request(lambda request: has_view(request, x="metric:train/loss")):
        page.locator("#x-metric").fill("train/loss")
        page.locator("#x-metric").press("Enter")
    assert "x=metric%3Atrain%2Floss" in page.url
    with page.expect_request(lambda request: has_view(request, marks=False)):
        page.locator("#marks").click()
    expect(page.locator("#marks")).to_have_attribute("aria-pressed", "false")
    expect(chart).to_have_attribute("data-state", "drawn")
