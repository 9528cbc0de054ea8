"""What the charts show: bands and heatmaps of families, spikes, NaN; and what their menu does."""

import csv
import io

import pytest
from playwright.sync_api import Request

import sample_runs
from dashboard_page import LONG_STEPS, SPIKE, drawn, expect, lines, traces
from waiting import wait_until

ENTROPY = "attention_entropy/layer_*"


def choose(chart, mode):
    chart.locator(f'.modes [data-value="{mode}"]').click()


def test_family_is_a_band_and_switches(runs_page):
    page = runs_page.open("run=prose&q=attention_entropy")
    chart = drawn(page, ENTROPY)
    expect(chart).to_have_attribute("data-kind", "band")
    assert len(lines(chart)) == 1
    assert [trace for trace in traces(chart) if trace["meta"].get("role") == "ribbon"]

    choose(chart, "heatmap")
    expect(chart).to_have_attribute("data-kind", "heatmap")
    expect(chart).to_have_attribute("data-state", "drawn")
    heatmap = next(trace for trace in traces(chart) if trace["type"] == "heatmap")
    assert [row.rpartition("_")[2] for row in heatmap["y"]] == list("012345"), "rows in natural order, from below"

    choose(chart, "each")
    expect(chart).to_have_attribute("data-kind", "line")
    assert len(lines(chart)) == sample_runs.LAYERS
    for mode in ("minmax", "quantile", "std"):
        choose(chart, mode)
        expect(chart.locator(f'.modes [data-value="{mode}"]')).to_have_attribute("aria-pressed", "true")
        expect(chart).to_have_attribute("data-kind", "band")
        expect(chart).to_have_attribute("data-state", "drawn")


def test_latest_value_of_each_layer(runs_page):
    page = runs_page.open("run=prose&run=code&q=attention_entropy")
    chart = drawn(page, ENTROPY)
    choose(chart, "latest")
    expect(chart).to_have_attribute("data-kind", "latest")
    expect(chart).to_have_attribute("data-state", "drawn")
    bars = [trace for trace in traces(chart) if trace["type"] == "bar"]
    assert len(bars) == 2
    assert all(len(trace["y"]) == sample_runs.LAYERS for trace in bars)


def test_heatmap_of_several_runs_shows_the_chosen_one(runs_page):
    page = runs_page.open("run=prose&run=code&q=attention_entropy")
    chart = drawn(page, ENTROPY)
    choose(chart, "heatmap")
    expect(chart).to_have_attribute("data-kind", "heatmap")
    select = chart.get_by_label(f"run of the heatmap {ENTROPY}")
    expect(select).to_have_value("code")
    cell = "card => card.querySelector('.js-plotly-plot').data[0].z[0][0]"
    of_code = chart.evaluate(cell)
    select.select_option("prose")
    wait_until(lambda: chart.evaluate(cell) != of_code, 15)
    expect(select).to_have_value("prose")


def test_section_switches_all_its_families(runs_page):
    page = runs_page.open("run=prose&q=grad_norm/")
    section = page.locator('#sections > [data-section="grad_norm"]')
    section.scroll_into_view_if_needed()
    section.locator('.heading [data-value="heatmap"]').click()
    charts = section.locator(".card")
    expect(charts).to_have_count(4)
    for index in range(4):
        expect(charts.nth(index)).to_have_attribute("data-kind", "heatmap")


def test_spike_of_one_step_is_seen_at_full_zoom_out(long_page):
    page = long_page.open("q=train")
    chart = drawn(page, "train/loss")
    assert int(chart.get_attribute("data-width") or 0) >= 64
    shown = [max(trace["y"]) for trace in traces(chart) if trace["y"]]
    assert max(shown) == pytest.approx(SPIKE), (
        f"the spike of {SPIKE} is not among the drawn points of {LONG_STEPS} steps"
    )
    expect(chart.locator(".note")).to_contain_text("1 point =")


def test_nonfinite_values_are_marked(runs_page):
    page = runs_page.open("run=prose&q=train/loss")
    chart = drawn(page, "train/loss")
    expect(chart.locator("h3 .alarm")).to_have_text("1 NaN/Inf")
    marks = [trace for trace in traces(chart) if trace["meta"].get("role") == "nonfinite"]
    assert len(marks) == 1
    assert len(marks[0]["x"]) == 1
    assert marks[0]["x"][0] == pytest.approx(sample_runs.INF_STEP, abs=4)
    triangle = chart.locator(".scatterlayer .point").first
    expect(triangle).to_be_visible()


def test_values_as_a_table(runs_page):
    page = runs_page.open("run=prose&q=train/loss")
    chart = drawn(page, "train/loss")
    chart.get_by_role("button", name="more for train/loss").click()
    page.get_by_role("button", name="Values as a table").click()
    dialog = page.get_by_role("dialog", name="train/loss")
    expect(dialog.locator("tbody tr")).to_have_count(100)
    expect(dialog.locator("tbody tr").nth(sample_runs.INF_STEP)).to_contain_text("∞")
    dialog.get_by_role("button", name="later rows").click()
    expect(dialog.get_by_role("status")).to_have_text("101 to 200 of 400 points")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_files_and_command_of_a_chart(runs_page):
    page = runs_page.open("run=prose&log=1&q=val/ppl")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    chart = drawn(page, "val/ppl")

    def menu(item):
        chart.get_by_role("button", name="more for val/ppl").click()
        page.locator("#menu").get_by_role("button", name=item).click()

    with page.expect_download() as download:
        menu("Download CSV")
    rows = list(csv.reader(io.StringIO(download.value.path().read_text())))
    assert len(rows) == 1 + 400 // 20
    for format_, start in (("PNG", b"\x89PNG"), ("SVG", b"<svg")):
        with page.expect_download() as download:
            menu(f"Download {format_}")
        assert download.value.path().read_bytes().startswith(start)
    menu("Copy the holter plot command")
    expect(page.locator("#toast")).to_have_text("command copied")
    command = page.evaluate("() => navigator.clipboard.readText()")
    assert command == "holter plot runs/prose val/ppl --log-y"


def test_thresholds_change_points_and_own_log_scale(runs_page):
    page = runs_page.open("run=prose&q=train/loss")
    chart = drawn(page, "train/loss")

    def menu(item):
        chart.get_by_role("button", name="more for train/loss").click()
        page.locator("#menu").get_by_role("button", name=item).click()

    def layout(part):
        return chart.evaluate("(card, part) => card.querySelector('.js-plotly-plot').layout[part]", part)

    chart.get_by_role("button", name="more for train/loss").click()
    page.get_by_label("threshold").fill("1.5")
    page.get_by_role("button", name="Add line").click()
    wait_until(lambda: 1.5 in [shape["y0"] for shape in layout("shapes")], 15)
    assert "line=1.5" in page.url
    menu("Remove the line at 1.5")
    wait_until(lambda: 1.5 not in [shape["y0"] for shape in layout("shapes")], 15)
    menu("Logarithmic")
    wait_until(lambda: layout("yaxis")["type"] == "log", 15)
    expect(page.locator("#log")).to_have_attribute("aria-pressed", "false")
    marks = len(layout("shapes"))
    menu("Mark change points")
    wait_until(lambda: len(layout("shapes")) > marks, 15)
    assert "change=train" in page.url


def test_pins_stand_first_and_stay(runs_page):
    page = runs_page.open()
    drawn(page, "val/ppl").get_by_role("button", name="pin val/ppl").click()
    pinned = page.locator("#overview-charts .card").first
    expect(pinned).to_have_attribute("data-key", "val/ppl")
    assert "pin=val" in page.url
    page = runs_page.open()  # without the pin in its address
    expect(pinned).to_have_attribute("data-key", "val/ppl")
    pinned.get_by_role("button", name="pin val/ppl").click()
    expect(pinned).not_to_have_attribute("data-key", "val/ppl")


def test_train_and_val_can_be_pinned_together(runs_page):
    page = runs_page.open("run=prose")
    drawn(page, "val/loss").get_by_role("button", name="more for val/loss").click()
    page.get_by_role("button", name="Pin together with train/loss").click()
    both = page.locator('#overview-charts .card[data-key="val/loss + train/loss"]')
    both.scroll_into_view_if_needed()
    expect(both).to_have_attribute("data-state", "drawn")
    assert {line["meta"]["name"] for line in lines(both)} == {"val/loss", "train/loss"}


def asks(request: Request, **view: object) -> bool:
    """Whether a request is for figures that are seen so."""
    return request.url.endswith("/figures") and view.items() <= request.post_data_json["view"].items()


def test_smoothing_marks_and_other_axes(runs_page):
    page = runs_page.open("run=prose&q=val/loss")
    chart = drawn(page, "val/loss")
    page.locator("#smoothing").fill("50")
    expect(page.locator("#smoothing-text")).to_have_text("100")
    expect(chart).not_to_have_attribute("data-draws", "1")
    assert runs_page.figure_requests[-1]["view"]["half_life"] == 100
    for axis in ("relative", "wall"):
        page.locator("#x-axis").select_option(axis)
        expect(page.locator("#x-axis")).to_have_value(axis)
        expect(chart).to_have_attribute("data-state", "drawn")
    page.locator("#x-axis").select_option("metric")
    page.locator("#x-metric").fill("train/loss")
    page.locator("#x-metric").press("Enter")
    expect(chart).to_have_attribute("data-state", "drawn")
    assert "x=metric%3Atrain%2Floss" in page.url
    with page.expect_request(lambda request: asks(request, marks=False)):
        page.locator("#marks").click()
    expect(page.locator("#marks")).to_have_attribute("aria-pressed", "false")
    expect(chart).to_have_attribute("data-state", "drawn")
