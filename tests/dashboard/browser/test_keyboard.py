"""Every view setting has a keyboard shortcut. Shortcuts are off while the user types."""

from dashboard_page import drawn, eventually, expect


def test_shortcuts_change_the_view(runs_page):
    page = runs_page.open()
    expect(page.locator("#overview .card").first).to_have_attribute("data-state", "drawn")
    page.keyboard.press("l")
    expect(page.locator("#log")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("m")
    expect(page.locator("#marks")).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("b")
    expect(page.locator("#band")).to_have_value("each")
    page.keyboard.press("s")
    expect(page.locator("#smoothing")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#smoothing-text")).not_to_have_text("off")
    page.keyboard.press("r")
    expect(page.locator("#runs")).to_be_hidden()
    page.keyboard.press("r")
    expect(page.locator("#runs")).to_be_visible()
    before = page.locator("html").get_attribute("data-theme")
    page.keyboard.press("t")
    expect(page.locator("html")).not_to_have_attribute("data-theme", before)
    page.keyboard.press("2")
    expect(page.locator("#compare")).to_be_visible()
    page.keyboard.press("1")
    expect(page.locator("#charts")).to_be_visible()


def test_question_mark_lists_shortcuts(runs_page):
    page = runs_page.open()
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(dialog).to_contain_text("logarithmic scale")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_arrow_keys_switch_charts_in_full_screen(runs_page):
    page = runs_page.open("run=prose&q=val")
    drawn(page, "val/loss").hover()
    page.keyboard.press("f")
    card = page.locator("#fullscreen .card")
    expect(card).to_have_attribute("data-key", "val/loss")
    expect(card).to_have_attribute("data-state", "drawn")
    eventually(lambda: card.evaluate("node => node.clientWidth"), lambda width: width > 1000)
    page.keyboard.press("ArrowRight")
    expect(card).to_have_attribute("data-key", "val/ppl")
    expect(card).to_have_attribute("data-state", "drawn")
    page.keyboard.press("ArrowLeft")
    expect(card).to_have_attribute("data-key", "val/loss")
    page.keyboard.press("Escape")
    expect(page.locator("#fullscreen")).to_be_hidden()


def test_shortcuts_are_off_while_typing(runs_page):
    page = runs_page.open()
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type("lbrt")
    expect(page.locator("#search")).to_have_value("lbrt")
    expect(page.locator("#log")).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#runs")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#search")).not_to_be_focused()


def test_tab_key_reaches_the_menu_of_a_chart(runs_page):
    page = runs_page.open("run=prose&q=val/loss")
    chart = drawn(page, "val/loss")
    chart.get_by_role("button", name="val/loss: full screen").focus()
    page.keyboard.press("Tab")
    expect(chart.get_by_role("button", name="pin val/loss")).to_be_focused()
    page.keyboard.press("Tab")
    expect(chart.get_by_role("button", name="more for val/loss")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#menu")).to_be_visible()
    expect(page.locator("#menu button").first).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#menu")).to_be_hidden()
    expect(chart.get_by_role("button", name="more for val/loss")).to_be_focused()
