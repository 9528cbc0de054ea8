"""The first screen shows the runs and the most useful charts, or what to do."""

import pytest

import holter
from dashboard_page import drawn, eventually, expect, lines


def test_overview_shows_runs_and_first_charts(runs_page):
    page = runs_page.open()
    expect(page.locator(".tile")).to_have_count(4)
    tile = page.locator('.tile[data-run="prose"]')
    expect(tile).to_contain_text("finished")
    expect(tile).to_contain_text("step 399 of 400")
    expect(tile).to_contain_text("NaN/Inf in 2 of")
    loss = page.locator("#overview .card").first
    found = eventually(lambda: lines(loss))
    assert {"train/loss", "val/loss"} <= {line["meta"]["name"] for line in found}
    assert {line["meta"]["run"] for line in found} >= {"prose", "code"}


def test_only_charts_near_the_viewport_are_drawn(runs_page):
    page = runs_page.open()
    first = page.locator("#overview .card").first
    expect(first).to_have_attribute("data-state", "drawn")
    expect(page.locator('#sections .card[data-state="drawn"]')).to_have_count(0)
    drawn(page, "grad_norm/blocks.*.mlp.up.weight")
    expect(first).to_have_attribute("data-state", "waiting")
    expect(first.locator(".main-svg")).to_have_count(0)


def test_visible_charts_share_requests(new_page, runs_url):
    dashboard_page = new_page(runs_url)
    page = dashboard_page.open()
    expect(page.locator("#overview .card").first).to_have_attribute("data-state", "drawn")
    assert max(len(request["charts"]) for request in dashboard_page.figure_requests) > 2
    assert len(dashboard_page.figure_requests) <= 4


@pytest.mark.parametrize("exists", [True, False])
def test_folder_without_runs_shows_how_to_record_one(new_page, serve, tmp_path, exists):
    root = tmp_path / "runs"
    if exists:
        root.mkdir()
    page = new_page(serve(root)).open()
    expect(page.locator("#empty")).to_contain_text("No runs in runs yet")
    with holter.Logger(root / "first") as logger:
        logger.log(0, "train/loss", 1.0)
        logger.log(1, "train/loss", 0.5)
    expect(page.locator('.tile[data-run="first"]')).to_be_visible()
    expect(page.locator("#empty")).to_be_empty()


def test_unreadable_run_is_listed_and_hides_no_other(new_page, serve, tmp_path):
    with holter.Logger(tmp_path / "good") as logger:
        logger.log(0, "train/loss", 1.0)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.json").write_text("{")
    page = new_page(serve(tmp_path)).open()
    expect(page.locator("#run-list li")).to_have_count(1)
    expect(page.locator("#problems summary")).to_have_text("1 run could not be read")
    page.locator("#problems summary").click()
    expect(page.locator("#problems")).to_contain_text("broken")


def test_messages_for_no_selection_and_for_no_points(runs_page, new_page, serve, tmp_path):
    page = runs_page.open("run=")
    expect(page.locator("#empty")).to_contain_text("No runs selected")
    with holter.Logger(tmp_path / "silent"):
        pass
    page = new_page(serve(tmp_path)).open()
    expect(page.locator("#empty")).to_contain_text("No points yet")


def test_details_show_the_metadata_of_a_run(runs_page):
    page = runs_page.open()
    page.locator('.tile[data-run="code"] .name').click()
    details = page.locator("#details")
    expect(details).to_contain_text("total_steps")
    expect(details).to_contain_text("model.layers")
    expect(details).to_contain_text("points dropped")
    details.get_by_role("button", name="train/loss").click()
    expect(page.locator("#sections .card")).to_have_count(1)
    expect(page.locator("#run-count")).to_contain_text("1 of 4")
