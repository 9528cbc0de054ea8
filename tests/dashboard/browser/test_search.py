"""Search matches series by words, by a glob pattern or by a regular expression, and explains an invalid one."""

import pytest

from dashboard_page import drawn, expect


@pytest.mark.parametrize(
    ("query", "found", "key"),
    [
        ("layer entropy", 6, "attention_entropy/layer_*"),
        ("ENTROPY", 6, "attention_entropy/layer_*"),
        ("grad_norm/*.up.*", 6, "grad_norm/blocks.*.mlp.up.weight"),
        ("train/los?", 1, "train/loss"),
        ("re:layer_[0-2]$", 6, "attention_sparsity/layer_*"),
        ("re:^val/(loss|ppl)$", 2, "val/ppl"),
    ],
)
def test_search_shows_matching_series(runs_page, query, found, key):
    page = runs_page.open()
    expect(page.locator("#match-count")).to_have_text("43 series")
    page.keyboard.press("/")
    page.keyboard.type(query)
    expect(page.locator("#match-count")).to_have_text(f"{found} of 43")
    drawn(page, key)
    expect(page.locator("#overview")).to_be_hidden()
    expect(page.locator("#search-error")).to_be_empty()


def test_invalid_regular_expression_is_explained(runs_page):
    page = runs_page.open()
    search = page.locator("#search")
    search.fill("re:(")
    expect(page.locator("#search-error")).to_contain_text("Invalid regular expression")
    expect(search).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#sections .card")).to_have_count(0)
    search.fill("re:(loss)")
    expect(page.locator("#search-error")).to_be_empty()
    drawn(page, "train/loss")


def test_search_without_match_shows_message(runs_page):
    page = runs_page.open("q=no_such_metric")
    expect(page.locator("#empty")).to_contain_text("No series match “no_such_metric”.")


def test_query_is_not_sent_to_the_server(new_page, runs_url):
    dashboard_page = new_page(runs_url)
    drawn(dashboard_page.open("q=re:entropy"), "attention_entropy/layer_*")
    assert dashboard_page.figure_requests
    assert "re:" not in str(dashboard_page.figure_requests)
