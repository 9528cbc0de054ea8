"""The URL holds the view: a link shows the same, a reload loses nothing, back and forward work."""

import re

from dashboard_page import drag, drawn, expect


def test_view_survives_a_reload(runs_page):
    page = runs_page.open()
    page.get_by_label("show code", exact=True).uncheck()
    page.locator("#log").click()
    page.locator("#band").select_option("heatmap")
    page.locator("#smoothing").fill("25")
    page.locator("#search").fill("entropy")
    expect(page).to_have_url(re.compile("q=entropy"))
    expect(page).to_have_url(re.compile("smooth="))
    expect(page.locator("#overview")).to_be_hidden()
    page.locator("#band").select_option("minmax")
    chart = drawn(page, "attention_entropy/layer_*")
    drag(page, chart, 0.2, 0.6)
    expect(page.locator("#zoom")).to_be_visible()
    page.keyboard.press("t")
    expect(page).to_have_url(re.compile("theme="))
    theme = page.locator("html").get_attribute("data-theme")
    zoom = page.locator("#zoom-text").inner_text()
    smoothing = page.locator("#smoothing-text").inner_text()
    page.reload()
    chart = drawn(page, "attention_entropy/layer_*")
    expect(page.get_by_label("show code", exact=True)).not_to_be_checked()
    expect(page.locator("#log")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#band")).to_have_value("minmax")
    expect(page.locator("#search")).to_have_value("entropy")
    expect(page.locator("html")).to_have_attribute("data-theme", theme)
    expect(page.locator("#zoom-text")).to_have_text(zoom)
    expect(page.locator("#smoothing-text")).to_have_text(smoothing)
    expect(chart).to_have_attribute("data-kind", "band")


def test_back_and_forward_switch_tabs(runs_page):
    page = runs_page.open()
    page.get_by_role("button", name="Compare", exact=True).first.click()
    expect(page.locator("#compare")).to_be_visible()
    page.get_by_role("button", name="Details", exact=True).click()
    expect(page.locator("#details")).to_be_visible()
    page.go_back()
    expect(page.locator("#compare")).to_be_visible()
    page.go_back()
    expect(page.locator("#charts")).to_be_visible()
    page.go_forward()
    expect(page.locator("#compare")).to_be_visible()


def test_closed_sections_are_in_the_url(runs_page):
    page = runs_page.open()
    page.locator("#sections .toggle", has_text="val").first.click()
    expect(page.locator('[data-section="val"] .grid')).to_be_hidden()
    page.reload()
    expect(page.locator('[data-section="val"] .toggle')).to_have_attribute("aria-expanded", "false")


def test_invalid_values_in_the_url_are_ignored(runs_page):
    page = runs_page.open(
        "run=prose&smooth=x&start=abc&stop=&columns=NaN&mode=:&threshold=&tab=charts&band=&unknown=1&x=step"
    )
    expect(page.locator("#overview .card").first).to_have_attribute("data-state", "drawn")
    expect(page.locator("#zoom")).to_be_hidden()
