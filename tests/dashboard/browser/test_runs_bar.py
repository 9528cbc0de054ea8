"""The list of runs selects, filters and groups them."""

import pytest

import holter
from dashboard_page import drawn, eventually, expect, lines


def expect_runs(chart, runs):
    eventually(lambda: {line["meta"]["run"] or line["name"] for line in lines(chart)}, lambda found: found == runs)


def expect_labels(chart, labels):
    eventually(lambda: {line["meta"]["label"] for line in lines(chart)}, lambda found: found == labels)


def test_selected_runs_are_drawn(runs_page):
    page = runs_page.open()
    chart = drawn(page, "val/ppl")
    expect_runs(chart, {"prose", "code", "lr=1 seed=1", "lr=1 seed=2"})
    page.get_by_label("show code", exact=True).uncheck()
    expect(page.locator("#run-count")).to_have_text("3 of 4 runs")
    expect_runs(drawn(page, "val/ppl"), {"prose", "lr=1 seed=1", "lr=1 seed=2"})
    page.locator("#run-list li", has_text="prose").hover()
    page.get_by_role("button", name="show only prose").click()
    expect(page.locator("#run-count")).to_have_text("1 of 4 runs")
    expect(page.locator(".tile")).to_have_count(1)
    page.get_by_role("button", name="newest 8").click()
    expect(page.locator("#run-count")).to_have_text("4 of 4 runs")


def test_filter_limits_the_list_and_all_selects_listed_runs(runs_page):
    page = runs_page.open()
    page.locator("#run-filter").fill("seed=*")
    expect(page.locator("#run-list li")).to_have_count(0)
    page.locator("#run-filter").fill("re:seed=[12]")
    expect(page.locator("#run-list li")).to_have_count(2)
    page.get_by_role("button", name="all", exact=True).click()
    expect(page.locator("#run-count")).to_have_text("2 of 4 runs")


def test_list_shows_status_and_nonfinite_series(runs_page):
    page = runs_page.open()
    row = page.locator('#run-list li[data-run="prose"]')
    expect(row.locator(".dot")).to_have_attribute("title", "finished")
    expect(row.locator(".alarm")).to_have_text("2")
    expect(row).to_contain_text("step 399")


def test_grouping_by_config_key_draws_one_band_per_group(runs_page):
    page = runs_page.open("q=val")
    expect(page.locator("#run-group option", has_text="by data")).to_have_count(1)
    page.locator("#run-group").select_option("config:data")
    chart = drawn(page, "val/loss")
    expect_labels(chart, {"data = prose", "data = code"})
    expect(chart).to_have_attribute("data-kind", "band")


def test_grouping_by_name_pattern(runs_page):
    page = runs_page.open("group=name:seed=*&q=val")
    expect(page.locator("#run-pattern")).to_have_value("seed=*")
    chart = drawn(page, "val/loss")
    expect_labels(chart, {"prose", "code", "lr=1 seed=*"})
    expect(chart).to_have_attribute("data-kind", "band")
    page.keyboard.press("b")
    expect(chart).to_have_attribute("data-kind", "line")


@pytest.fixture(scope="module")
def ten_runs_url(serve, tmp_path_factory):
    root = tmp_path_factory.mktemp("ten")
    for number in range(10):
        with holter.Logger(root / f"run-{number}") as logger:
            logger.log_many(0, {"train/loss": 1.0 + number})
            logger.log_many(1, {"train/loss": 0.5 + number})
    return serve(root)


def test_newest_eight_runs_are_selected_at_first(new_page, ten_runs_url):
    page = new_page(ten_runs_url).open()
    expect(page.locator("#run-count")).to_have_text("8 of 10 runs")
    expect(page.get_by_label("show run-9", exact=True)).to_be_checked()
    expect(page.get_by_label("show run-1", exact=True)).not_to_be_checked()
    expect(page.locator(".tile")).to_have_count(8)
