"""5,000 series cost what is looked at: headings at first, cards where one scrolls, figures where one stops."""

import numpy as np
import pytest

import holter
import sample_runs
from dashboard_page import drawn, expect

SERIES = 5000


@pytest.fixture(scope="module")
def many_url(serve, tmp_path_factory):
    root = tmp_path_factory.mktemp("many")
    sample_runs.record_many_series(root / "large", series=SERIES)
    return serve(root)


def test_five_thousand_series_are_usable(watch, many_url):
    watched = watch(many_url)
    page = watched.open()
    expect(page.locator("#found")).to_have_text("5,000 series")
    expect(page.locator("#overview .card").first).to_have_attribute("data-state", "drawn")
    assert page.evaluate("() => document.querySelectorAll('*').length") < 6000

    page.keyboard.press("/")
    page.keyboard.type("part_7.")
    expect(page.locator("#found")).to_have_text("250 of 5,000")
    drawn(page, "grad_norm/blocks.*.part_7.weight")
    page.locator("#search").fill("blocks.249.")
    expect(page.locator("#found")).to_have_text("20 of 5,000")
    asked = sum(len(request["charts"]) for request in watched.figure_requests)
    assert asked < 60, "only what was near the viewport was asked for"


def test_section_of_five_thousand_charts_is_built_as_one_scrolls(watch, serve, tmp_path):
    with holter.Logger(tmp_path / "wide") as logger:
        names = [f"weights/{letter}{number}x" for letter in "abcde" for number in range(1000)]
        logger.log_array(0, logger.metrics(names), np.ones(len(names)))
    page = watch(serve(tmp_path)).open()
    section = page.locator('[data-section="weights"]')
    expect(section.locator(".toggle")).to_have_attribute("aria-expanded", "false")
    expect(section.locator(".card")).to_have_count(0)
    section.locator(".toggle").click()
    expect(section.locator(".card").first).to_be_attached()
    assert section.locator(".card").count() < 200
    section.locator(".card").nth(20).scroll_into_view_if_needed()
    expect(section.locator(".card").nth(30)).to_be_attached()
    assert section.locator(".card").count() < 400
