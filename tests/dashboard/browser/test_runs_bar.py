"""Runs are selected, filtered and drawn as one from the bar on the left."""

import pytest

import holter
from dashboard_page import drawn, expect, lines


def runs_in(chart):
    return {line["meta"]["run"] or line["name"] for line in lines(chart)}


def test_selection_decides_what_is_drawn(runs_page):
    page = runs_page.open()
    chart = drawn(page, "val/ppl")
    assert runs_in(chart) == {"prose", "code", "lr=1 seed=1", "lr=1 seed=2"}
    draws = chart.get_attribute("data-draws")
    page.get_by_label("show code", exact=True).uncheck()
    expect(page.locator("#run-count")).to_have_text("3 of 4 runs")
    expect(chart).not_to_have_attribute("data-draws", draws)
    assert "code" not in runs_in(chart)
    page.locator("#run-list li", has_text="prose").hover()
    page.get_by_role("button", name="show prose only").click()
    expect(page.locator("#run-count")).to_have_text("1 of 4 runs")
    expect(page.locator(".tile")).to_have_count(1)
    page.get_by_role("button", name="newest 8").click()
    expect(page.locator("#run-count")).to_have_text("4 of 4 runs")


def test_filter_lists_runs_and_all_selects_the_listed(runs_page):
    page = runs_page.open()
    page.locator("#run-filter").fill("seed=*")
    expect(page.locator("#run-list li")).to_have_count(0)
    page.locator("#run-filter").fill("re:seed=[12]")
    expect(page.locator("#run-list li")).to_have_count(2)
    page.get_by_role("button", name="all", exact=True).click()
    expect(page.locator("#run-count")).to_have_text("2 of 4 runs")


def test_status_and_nonfinite_count_are_in_the_list(runs_page):
    page = runs_page.open()
    row = page.locator('#run-list li[data-run="prose"]')
    expect(row.locator(".dot")).to_have_attribute("title", "finished")
    expect(row.locator(".alarm")).to_have_text("2")
    expect(row).to_contain_text("step 399")


def test_group_by_config_key_draws_one_band_a_group(runs_page):
    page = runs_page.open("q=val")
    expect(page.locator("#run-group option", has_text="by data")).to_have_count(1)
    page.locator("#run-group").select_option("config:data")
    chart = drawn(page, "val/loss")
    expect(chart).to_have_attribute("data-kind", "band")
    assert {line["meta"]["label"] for line in lines(chart)} == {"data = prose", "data = code"}


def test_group_by_name_pattern(runs_page):
    page = runs_page.open("group=name:seed=*&q=val")
    expect(page.locator("#run-pattern")).to_have_value("seed=*")
    chart = drawn(page, "val/loss")
    expect(chart).to_have_attribute("data-kind", "band")
    assert {line["meta"]["label"] for line in lines(chart)} == {"prose", "code", "lr=1 seed=*"}
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


def test_newest_eight_are_selected_at_first(watch, ten_runs_url):
    page = watch(ten_runs_url).open()
    expect(page.locator("#run-count")).to_have_text("8 of 10 runs")
    expect(page.get_by_label("show run-9", exact=True)).to_be_checked()
    expect(page.get_by_label("show run-1", exact=True)).not_to_be_checked()
    expect(page.locator(".tile")).to_have_count(8)
