"""Search finds series by words, a shell's pattern or a regular expression, and says what is wrong with a bad one."""

import pytest

from dashboard_page import expect


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
def test_search(runs_page, query, found, key):
    page = runs_page.open()
    expect(page.locator("#found")).to_contain_text("43 series")
    page.keyboard.press("/")
    page.keyboard.type(query)
    expect(page.locator("#found")).to_have_text(f"{found} of 43")
    chart = page.locator(f'#sections .card[data-key="{key}"]')
    expect(chart).to_have_attribute("data-state", "drawn")
    expect(page.locator("#overview")).to_be_hidden()
    expect(page.locator("#search-error")).to_be_empty()


def test_bad_expression_is_explained_and_forgotten(runs_page):
    page = runs_page.open()
    search = page.locator("#search")
    search.fill("re:(")
    expect(page.locator("#search-error")).to_contain_text("this regular expression is wrong")
    expect(search).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#sections .card")).to_have_count(0)
    search.fill("re:(loss)")
    expect(page.locator("#search-error")).to_be_empty()
    expect(page.locator("#sections .card").first).to_have_attribute("data-state", "drawn")


def test_nothing_found_is_said(runs_page):
    page = runs_page.open("q=no_such_metric")
    expect(page.locator("#empty")).to_contain_text("No series is found by “no_such_metric”")


def test_expressions_never_reach_the_server(runs_page):
    page = runs_page.open("q=re:entropy")
    expect(page.locator("#sections .card").first).to_have_attribute("data-state", "drawn")
    assert "re:" not in str(runs_page.figure_requests)
