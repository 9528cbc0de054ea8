"""With 5,000 series, cards are created and figures are fetched only near the viewport."""

import numpy as np
import pytest

import holter
import sample_runs
from dashboard_page import drawn, eventually, expect

SERIES = 5000


@pytest.fixture(scope="module")
def many_url(serve, tmp_path_factory):
    root = tmp_path_factory.mktemp("many")
    sample_runs.record_many_series(root / "large", series=SERIES)
    return serve(root)


def test_five_thousand_series_are_usable(new_page, many_url):
    dashboard_page = new_page(many_url)
    page = dashboard_page.open()
    expect(page.locator("#match-count")).to_have_text("5,000 series")
    expect(page.locator("#overview .card").first).to_have_attribute("data-state", "drawn")
    assert page.evaluate("() => document.querySelectorAll('*').length") < 6000

    page.keyboard.press("/")
    page.keyboard.type("part_7.")
    expect(page.locator("#match-count")).to_have_text("250 of 5,000")
    drawn(page, "grad_norm/blocks.*.part_7.weight")
    page.locator("#search").fill("blocks.249.")
    expect(page.locator("#match-count")).to_have_text("20 of 5,000")
    requested = sum(len(request["charts"]) for request in dashboard_page.figure_requests)
    assert requested < 60, "only charts near the viewport are requested"


def test_large_section_is_built_while_scrolling(new_page, serve, tmp_path):
    with holter.Logger(tmp_path / "wide") as logger:
        names = [f"weights/{letter}{number}x" for letter in "abcde" for number in range(1000)]
        logger.log_array(0, logger.metrics(names), np.ones(len(names)))
    page = new_page(serve(tmp_path)).open()
    section = page.locator('#sections > [data-section="weights"]')
    cards = section.locator(".card")
    expect(section.locator(".toggle")).to_have_attribute("aria-expanded", "false")
    expect(cards).to_have_count(0)
    section.locator(".toggle").click()
    expect(cards.first).to_be_attached()
    before = cards.count()
    assert before < 200
    # The next cards are created when the last ones come into view.
    scroll = "section => { [...section.querySelectorAll('.card')].at(-1).scrollIntoView(); }"
    eventually(lambda: section.evaluate(scroll) or cards.count(), lambda count: count > before)
    assert cards.count() < 400
