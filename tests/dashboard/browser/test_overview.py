"""The first screen is never empty: how the runs get on, the charts that one wants to see first, or what to do."""

import pytest

import holter
from dashboard_page import drawn, expect, lines


def test_overview_shows_runs_and_first_charts(runs_page):
    page = runs_page.open()
    expect(page.locator(".tile")).to_have_count(4)
    tile = page.locator('.tile[data-run="prose"]')
    expect(tile).to_contain_text("finished")
    expect(tile).to_contain_text("step 399 of 400")
    expect(tile).to_contain_text("NaN/Inf in 2 of")
    loss = page.locator("#overview .card").first
    expect(loss).to_have_attribute("data-state", "drawn")
    names = {line["meta"]["name"] for line in lines(loss)}
    assert {"train/loss", "val/loss"} <= names
    assert {line["meta"]["run"] for line in lines(loss)} >= {"prose", "code"}


def test_only_what_is_near_the_viewport_is_drawn(runs_page):
    page = runs_page.open()
    expect(page.locator("#overview .card").first).to_have_attribute("data-state", "drawn")
    assert page.locator('#sections .card[data-state="drawn"]').count() == 0
    page.locator('[data-section="grad_norm"] .heading').scroll_into_view_if_needed()
    drawn(page, "grad_norm/blocks.*.mlp.up.weight")
    first = page.locator("#overview .card").first
    expect(first).to_have_attribute("data-state", "waiting")
    assert first.locator(".main-svg").count() == 0, "what is out of view is emptied"


def test_charts_of_one_frame_are_asked_for_together(watch, runs_url):
    runs_page = watch(runs_url)
    page = runs_page.open()
    expect(page.locator("#overview .card").first).to_have_attribute("data-state", "drawn")
    assert max(len(request["charts"]) for request in runs_page.figure_requests) > 2
    assert len(runs_page.figure_requests) <= 4


@pytest.mark.parametrize("exists", [True, False])
def test_folder_without_runs_says_how_to_record_one(watch, serve, tmp_path, exists):
    root = tmp_path / "runs"
    if exists:
        root.mkdir()
    page = watch(serve(root)).open()
    expect(page.locator("#empty")).to_contain_text("There is no run in runs yet")
    with holter.Logger(root / "first") as logger:
        logger.log(0, "train/loss", 1.0)
        logger.log(1, "train/loss", 0.5)
    expect(page.locator('.tile[data-run="first"]')).to_be_visible()
    expect(page.locator("#empty")).to_be_empty()


def test_run_that_cannot_be_read_is_named_and_hides_no_other(watch, serve, tmp_path):
    with holter.Logger(tmp_path / "good") as logger:
        logger.log(0, "train/loss", 1.0)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.json").write_text("{")
    page = watch(serve(tmp_path)).open()
    expect(page.locator("#run-list li")).to_have_count(1)
    page.locator("#problems summary").click()
    expect(page.locator("#problems")).to_contain_text("broken")


def test_nothing_selected_and_no_point_are_said(runs_page, watch, serve, tmp_path):
    page = runs_page.open("run=")
    expect(page.locator("#empty")).to_contain_text("No run is selected")
    with holter.Logger(tmp_path / "silent"):
        pass
    page = watch(serve(tmp_path)).open()
    expect(page.locator("#empty")).to_contain_text("No points yet")


def test_details_tell_where_a_run_came_from(runs_page):
    page = runs_page.open()
    page.locator('.tile[data-run="code"] .name').click()
    details = page.locator("#details")
    expect(details).to_contain_text("total_steps")
    expect(details).to_contain_text("model.layers")
    expect(details).to_contain_text("points dropped")
    details.get_by_role("button", name="train/loss").click()
    expect(page.locator("#sections .card")).to_have_count(1)
    expect(page.locator("#run-count")).to_contain_text("1 of 4")
