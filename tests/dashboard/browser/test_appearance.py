"""The page works on a phone, in light and dark, with labels for assistive technology, and with few bytes of scripts."""

import gzip
import importlib.resources

import pytest

from dashboard_page import drawn, eventually, expect
from holter.plots import PALETTE, THEMES

UNLABELED = """() => [...document.querySelectorAll(
        'button, a[href], input, select, summary, [tabindex="0"], [role="img"], dialog[open]')]
    .filter(node => node.checkVisibility())
    .filter(node => {
        const label = node.getAttribute('aria-label') || node.labels?.[0]?.textContent || node.textContent ||
            document.getElementById(node.getAttribute('aria-labelledby'))?.textContent;
        return !label?.trim();
    })
    .map(node => node.outerHTML.slice(0, 200))"""
FITS = "() => document.documentElement.scrollWidth <= innerWidth"
LINE_COLOR = """card => card.querySelector('.js-plotly-plot').data?.find(trace => !trace.meta?.role).line.color"""
MAX_SCRIPT_BYTES = 60_000
"""Of the page's own scripts, compressed."""


def static_files():
    return (importlib.resources.files("holter.dashboard") / "static").iterdir()


def css_color(color: str) -> str:
    return f"rgb({', '.join(str(int(color[at : at + 2], 16)) for at in (1, 3, 5))})"


@pytest.mark.parametrize("tab", ["charts", "compare", "details"])
def test_phone_has_no_horizontal_scroll(new_page, runs_url, tab):
    page = new_page(runs_url, viewport={"width": 380, "height": 800}, has_touch=True).open(f"tab={tab}")
    expect(page.locator("#runs")).to_be_hidden()
    if tab == "charts":
        expect(page.locator("#overview .card").first).to_have_attribute("data-state", "drawn")
        chart = drawn(page, "attention_entropy/layer_*")
        eventually(lambda: chart.evaluate("node => node.clientWidth"), lambda width: width > 340)
    elif tab == "compare":
        expect(page.locator("#compare-table tbody tr").first).to_be_visible()
    else:
        expect(page.locator("#details .block").first).to_be_visible()
    eventually(lambda: page.evaluate(FITS))
    page.get_by_role("button", name="list of runs").click()
    expect(page.get_by_label("show prose", exact=True)).to_be_visible()
    eventually(lambda: page.evaluate(FITS))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_theme_follows_the_system_until_it_is_toggled(new_page, runs_url, scheme):
    page = new_page(runs_url, color_scheme=scheme).open("run=prose&q=val/loss")
    expect(page.locator("html")).to_have_attribute("data-theme", scheme)
    chart = drawn(page, "val/loss")
    eventually(lambda: chart.evaluate(LINE_COLOR), lambda color: color == THEMES[scheme].palette[0])
    # The list and the figures have the same colors.
    swatch = page.locator('#run-list li[data-run="prose"] .swatch')
    expect(swatch).to_have_css("border-top-color", css_color(THEMES[scheme].palette[0]))
    other = "dark" if scheme == "light" else "light"
    page.get_by_role("button", name="toggle theme").click()
    expect(page.locator("html")).to_have_attribute("data-theme", other)
    eventually(lambda: chart.evaluate(LINE_COLOR), lambda color: color == THEMES[other].palette[0])


def test_page_has_the_palette_of_the_plots(runs_page):
    page = runs_page.open("theme=light")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    colors = page.evaluate("""() => [...Array(10).keys()].map(index => {
        const probe = document.createElement('div');
        probe.style.color = `var(--run-${index})`;
        document.body.append(probe);
        const { color } = getComputedStyle(probe);
        probe.remove();
        return color;
    })""")
    assert colors == [css_color(color) for color in PALETTE]


@pytest.mark.parametrize("tab", ["charts", "compare", "details"])
def test_every_control_has_a_label(runs_page, tab):
    page = runs_page.open(f"tab={tab}&group=name:seed=*")
    if tab == "charts":
        chart = drawn(page, "attention_entropy/layer_*")
        chart.locator('[data-value="heatmap"]').click()
        expect(chart.get_by_label("run of the heatmap attention_entropy")).to_be_visible()
        assert page.evaluate(UNLABELED) == []
        chart.get_by_role("button", name="more for attention_entropy").click()
        expect(page.locator("#menu")).to_be_visible()
    elif tab == "compare":
        expect(page.locator("#compare-table tbody tr").first).to_be_visible()
    else:
        expect(page.locator("#details .block").first).to_be_visible()
    assert page.evaluate(UNLABELED) == []


def test_focus_is_visible_and_motion_is_reduced(new_page, runs_url):
    page = new_page(runs_url, reduced_motion="reduce").open()
    expect(page.locator("#overview .card").first).to_have_attribute("data-state", "drawn")
    page.keyboard.press("Tab")
    expect(page.locator("*:focus")).to_have_css("outline-style", "solid")
    expect(page.locator("#toast")).to_have_css("transition-duration", "0s")


def test_own_scripts_are_small():
    sizes = {
        item.name: len(gzip.compress(item.read_bytes(), 3)) for item in static_files() if item.name.endswith(".js")
    }
    assert sum(sizes.values()) < MAX_SCRIPT_BYTES
    assert not [name for name in sizes if "plotly" in name], "plotly.js comes from its wheel"


def test_charts_follow_the_size_of_the_window(new_page, runs_url):
    page = new_page(runs_url, viewport={"width": 1280, "height": 900}).open("run=prose&q=val/loss")
    chart = drawn(page, "val/loss")
    widths = "card => [card.querySelector('.box').layout?.width, card.querySelector('.plot').clientWidth]"

    def wait_for_new_width(before):
        return eventually(lambda: chart.evaluate(widths), lambda found: found[0] == found[1] != before)[0]

    width = wait_for_new_width(None)
    page.set_viewport_size({"width": 900, "height": 900})
    width = wait_for_new_width(width)
    page.keyboard.press("r")
    width = wait_for_new_width(width)
    page.locator("#columns").select_option("1")
    wait_for_new_width(width)


def test_every_module_is_preloaded(runs_page):
    modules = {f"/static/{item.name}" for item in static_files() if item.name.endswith(".js")} - {"/static/main.js"}
    page = runs_page.open("run=")
    links = page.locator('link[rel="modulepreload"]')
    assert {links.nth(index).get_attribute("href") for index in range(links.count())} == modules
