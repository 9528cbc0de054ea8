"""The page works at a phone's width, in light and dark, with names for assistive technology, and within its budget."""

import gzip
import importlib.resources

import pytest

from dashboard_page import drawn, expect
from holter.plots import PALETTE, THEMES
from waiting import wait_until

NAMELESS = """() => [...document.querySelectorAll(
        'button, a[href], input, select, summary, [tabindex="0"], [role="img"], dialog[open]')]
    .filter(node => node.checkVisibility())
    .filter(node => {
        const label = node.getAttribute('aria-label') || node.labels?.[0]?.textContent || node.textContent ||
            document.getElementById(node.getAttribute('aria-labelledby'))?.textContent;
        return !label?.trim();
    })
    .map(node => node.outerHTML.slice(0, 200))"""
FITS = "() => document.documentElement.scrollWidth <= innerWidth"
SCRIPT_BUDGET = 60_000
"""Bytes of our own scripts on the wire, all together."""


@pytest.mark.parametrize("tab", ["charts", "compare", "details"])
def test_phone_has_no_horizontal_scroll(watch, runs_url, tab):
    page = watch(runs_url, viewport={"width": 380, "height": 800}, has_touch=True).open(f"tab={tab}")
    expect(page.locator("#runs")).to_be_hidden()
    if tab == "charts":
        expect(page.locator("#overview .card").first).to_have_attribute("data-state", "drawn")
        chart = drawn(page, "attention_entropy/layer_*")
        assert chart.bounding_box()["width"] > 340
    elif tab == "compare":
        expect(page.locator("#compare-table tbody tr").first).to_be_visible()
    else:
        expect(page.locator("#details .block").first).to_be_visible()
    assert page.evaluate(FITS)
    page.get_by_role("button", name="list of runs").click()
    expect(page.get_by_label("show prose", exact=True)).to_be_visible()
    assert page.evaluate(FITS)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_theme_follows_the_system_until_it_is_switched(watch, runs_url, scheme):
    watched = watch(runs_url, color_scheme=scheme)
    page = watched.open("run=prose&q=val/loss")
    html = page.locator("html")
    expect(html).to_have_attribute("data-theme", scheme)
    chart = drawn(page, "val/loss")
    colour = "card => card.querySelector('.js-plotly-plot').data.find(trace => !trace.meta?.role).line.color"
    assert chart.evaluate(colour) == THEMES[scheme].palette[0]
    swatch = "node => getComputedStyle(node.querySelector('.swatch')).borderTopColor"
    red, green, blue = (int(THEMES[scheme].palette[0][at : at + 2], 16) for at in (1, 3, 5))
    row = page.locator('#run-list li[data-run="prose"]')
    assert row.evaluate(swatch) == f"rgb({red}, {green}, {blue})", "the bar and the figures have the same colours"
    other = "dark" if scheme == "light" else "light"
    page.get_by_role("button", name="light or dark").click()
    expect(html).to_have_attribute("data-theme", other)
    expect(chart).not_to_have_attribute("data-draws", "1")
    assert chart.evaluate(colour) == THEMES[other].palette[0]


def test_palette_is_that_of_the_plots(runs_page):
    page = runs_page.open("theme=light")
    colours = page.evaluate("""() => [...Array(10).keys()].map(index => {
        const probe = document.createElement('div');
        probe.style.color = `var(--run-${index})`;
        document.body.append(probe);
        return getComputedStyle(probe).color;
    })""")
    expected = [f"rgb({', '.join(str(int(colour[at : at + 2], 16)) for at in (1, 3, 5))})" for colour in PALETTE]
    assert colours == expected


@pytest.mark.parametrize("tab", ["charts", "compare", "details"])
def test_everything_one_can_use_has_a_name(runs_page, tab):
    page = runs_page.open(f"tab={tab}&group=name:seed=*")
    if tab == "charts":
        chart = drawn(page, "attention_entropy/layer_*")
        chart.locator('[data-value="heatmap"]').click()
        expect(chart).to_have_attribute("data-kind", "heatmap")
        assert page.evaluate(NAMELESS) == []
        chart.get_by_role("button", name="more for attention_entropy").click()
        expect(page.locator("#menu")).to_be_visible()
    elif tab == "compare":
        expect(page.locator("#compare-table tbody tr").first).to_be_visible()
    else:
        expect(page.locator("#details .block").first).to_be_visible()
    assert page.evaluate(NAMELESS) == []


def test_focus_is_seen_and_motion_is_reduced(watch, runs_url):
    page = watch(runs_url, reduced_motion="reduce").open()
    expect(page.locator("#overview .card").first).to_have_attribute("data-state", "drawn")
    page.keyboard.press("Tab")
    outline = "() => getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(outline) == "solid"
    assert page.locator("#toast").evaluate("node => getComputedStyle(node).transitionDuration") == "0s"


def test_own_scripts_stay_small():
    folder = importlib.resources.files("holter.dashboard") / "static"
    sizes = {
        item.name: len(gzip.compress(item.read_bytes(), 3)) for item in folder.iterdir() if item.name.endswith(".js")
    }
    assert sum(sizes.values()) < SCRIPT_BUDGET
    assert not [name for name in sizes if "plotly" in name], "plotly.js comes from its wheel"


def test_charts_follow_the_size_of_the_window(watch, runs_url):
    page = watch(runs_url, viewport={"width": 1280, "height": 900}).open("run=prose&q=val/loss")
    chart = drawn(page, "val/loss")
    width = "card => card.querySelector('.js-plotly-plot').layout.width - card.querySelector('.plot').clientWidth"
    page.set_viewport_size({"width": 700, "height": 900})
    wait_until(lambda: chart.evaluate(width) == 0, 15)
    page.keyboard.press("r")
    wait_until(lambda: chart.evaluate(width) == 0, 15)
    page.locator("#columns").select_option("2")
    wait_until(lambda: chart.evaluate(width) == 0, 15)


def test_every_module_is_fetched_at_once(runs_page):
    folder = importlib.resources.files("holter.dashboard") / "static"
    modules = {f"/static/{item.name}" for item in folder.iterdir() if item.name.endswith(".js")} - {"/static/main.js"}
    page = runs_page.open("run=")
    links = page.locator('link[rel="modulepreload"]')
    assert {links.nth(index).get_attribute("href") for index in range(links.count())} == modules
