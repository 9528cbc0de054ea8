"""The address holds the state of the page: a link shows the same, a reload loses nothing, back and forward work."""

from dashboard_page import drag, drawn, expect


def test_state_survives_a_reload(runs_page):
    page = runs_page.open()
    page.get_by_label("show code", exact=True).uncheck()
    page.locator("#log").click()
    page.locator("#band").select_option("heatmap")
    page.locator("#smoothing").fill("25")
    page.locator("#search").fill("entropy")
    chart = drawn(page, "attention_entropy/layer_*")
    page.locator("#band").select_option("minmax")
    drag(page, chart, 0.2, 0.6)
    expect(page.locator("#zoom")).to_be_visible()
    page.keyboard.press("t")
    before = {
        "theme": page.locator("html").get_attribute("data-theme"),
        "zoom": page.locator("#zoom-text").inner_text(),
        "smoothing": page.locator("#smoothing-text").inner_text(),
    }
    page.reload()
    chart = drawn(page, "attention_entropy/layer_*")
    expect(page.get_by_label("show code", exact=True)).not_to_be_checked()
    expect(page.locator("#log")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#band")).to_have_value("minmax")
    expect(page.locator("#search")).to_have_value("entropy")
    assert page.locator("html").get_attribute("data-theme") == before["theme"]
    assert page.locator("#zoom-text").inner_text() == before["zoom"]
    assert page.locator("#smoothing-text").inner_text() == before["smoothing"]
    expect(chart).to_have_attribute("data-kind", "band")


def test_back_and_forward(runs_page):
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


def test_open_and_closed_sections_are_in_the_address(runs_page):
    page = runs_page.open()
    page.locator("#sections .toggle", has_text="val").first.click()
    expect(page.locator('[data-section="val"] .grid')).to_be_hidden()
    page.reload()
    expect(page.locator('[data-section="val"] .toggle')).to_have_attribute("aria-expanded", "false")


def test_nonsense_in_the_address_is_survived(runs_page):
    page = runs_page.open(
        "run=prose&smooth=x&start=abc&stop=&columns=NaN&mode=:&line=&tab=charts&band=&unknown=1&x=step"
    )
    expect(page.locator("#overview .card").first).to_have_attribute("data-state", "drawn")
    expect(page.locator("#zoom")).to_be_hidden()
