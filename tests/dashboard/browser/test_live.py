"""A run that another process records grows on the page. Only the visible charts of changed runs are fetched again."""

import json
import subprocess
import sys

import pytest

import holter
import sample_runs
from dashboard_page import drawn, eventually, expect, lines, traces


@pytest.fixture
def live_root(tmp_path):
    """A finished run, and a run that a child process is recording."""
    root = tmp_path / "runs"
    sample_runs.record(root / "finished", steps=100)
    command = [sys.executable, sample_runs.__file__, str(root / "live"), "100000", "0.01"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert "recording" in json.loads(child.stdout.readline())
        yield root
        child.stdin.close()
        child.wait(20)


def last_step(chart):
    return max(max(line["x"]) for line in lines(chart))


def wait_for_points(chart):
    step = last_step(chart)
    eventually(lambda: last_step(chart), lambda last: last > step)


def test_only_visible_charts_of_a_live_run_are_fetched(new_page, serve, live_root):
    dashboard_page = new_page(serve(live_root))
    page = dashboard_page.open()
    expect(page.locator("#live")).to_have_attribute("data-live", "true")
    expect(page.locator('.tile[data-run="live"] .status')).to_have_text("running")
    page.locator("#search").fill("train/loss")
    expect(page.locator("#overview")).to_be_hidden()
    chart = drawn(page, "train/loss")
    wait_for_points(chart)
    dashboard_page.figure_requests.clear()
    wait_for_points(chart)
    wait_for_points(chart)
    names = {
        name for request in dashboard_page.figure_requests for chart in request["charts"] for name in chart["names"]
    }
    assert names == {"train/loss"}


def test_charts_of_finished_runs_are_not_fetched_again(new_page, serve, live_root):
    dashboard_page = new_page(serve(live_root))
    page = dashboard_page.open("q=re:train/loss|entropy&band=heatmap")
    heatmap = drawn(page, "attention_entropy/layer_*")
    heatmap.get_by_label("run of the heatmap").select_option("finished")
    eventually(lambda: traces(heatmap), lambda found: max(found[0]["x"]) < 100)
    loss = drawn(page, "train/loss")
    expect(heatmap).to_have_attribute("data-state", "drawn")
    draws = heatmap.get_attribute("data-draws")
    dashboard_page.figure_requests.clear()
    wait_for_points(loss)
    wait_for_points(loss)
    names = {
        name for request in dashboard_page.figure_requests for chart in request["charts"] for name in chart["names"]
    }
    assert names == {"train/loss"}
    assert heatmap.get_attribute("data-draws") == draws


def test_live_state_follows_the_selection(new_page, serve, live_root):
    page = new_page(serve(live_root)).open("run=finished")
    expect(page.locator("#live-text")).to_have_text("no live runs")
    page.get_by_label("show live", exact=True).check()
    expect(page.locator("#live")).to_have_attribute("data-live", "true")
    expect(page.locator("#live-text")).to_contain_text("last point")
    page.get_by_label("show live", exact=True).uncheck()
    expect(page.locator("#live-text")).to_have_text("no live runs")


def test_new_runs_and_series_appear(new_page, serve, tmp_path):
    root = tmp_path / "runs"
    with holter.Logger(root / "one") as logger:
        logger.log(0, "train/loss", 1.0)
        page = new_page(serve(root)).open()
        drawn(page, "train/loss")
        logger.log(1, "val/loss", 1.0)
        drawn(page, "val/loss")
    expect(page.locator('.tile[data-run="one"] .status')).to_have_text("finished")
    with holter.Logger(root / "two") as logger:
        logger.log(0, "train/loss", 1.0)
    expect(page.locator("#run-list li")).to_have_count(2)
    expect(page.locator('.tile[data-run="two"]')).to_be_visible()
