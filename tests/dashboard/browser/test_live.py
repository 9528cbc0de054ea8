"""A run that another process records grows on the page within seconds, and only what is seen of it is fetched again."""

import json
import subprocess
import sys

import pytest

import holter
import sample_runs
from dashboard_page import drawn, expect, lines
from waiting import wait_until


@pytest.fixture
def live_root(tmp_path):
    """A finished run, and one that a child process is recording."""
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


def test_live_run_grows_and_only_its_visible_charts_are_fetched(watch, serve, live_root):
    watched = watch(serve(live_root))
    page = watched.open()
    expect(page.locator("#live")).to_have_attribute("data-live", "true")
    expect(page.locator('.tile[data-run="live"] .status')).to_have_text("running")
    page.locator("#search").fill("train/loss")
    chart = drawn(page, "train/loss")
    step = last_step(chart)
    watched.figure_requests.clear()
    wait_until(lambda: last_step(chart) > step, 15)
    step = last_step(chart)
    wait_until(lambda: last_step(chart) > step, 15)
    asked = {name for request in watched.figure_requests for chart in request["charts"] for name in chart["names"]}
    assert asked == {"train/loss"}, "no chart that cannot be seen is asked for"


def test_finished_runs_are_left_alone(watch, serve, live_root):
    watched = watch(serve(live_root))
    page = watched.open("run=finished")
    chart = drawn(page, "train/loss")
    live = page.locator('#run-list li[data-run="live"] .facts')
    seen = live.inner_text()
    page.get_by_label("show live", exact=True).check()
    expect(chart).not_to_have_attribute("data-draws", "1")
    page.get_by_label("show live", exact=True).uncheck()
    expect(page.locator("#run-count")).to_have_text("1 of 2 runs")
    expect(page.locator("#live-text")).to_have_text("no run is live")
    expect(chart).to_have_attribute("data-state", "drawn")
    draws = chart.get_attribute("data-draws")
    page.get_by_role("button", name="details of live").first.click()
    expect(live).not_to_have_text(seen)
    page.go_back()
    assert chart.get_attribute("data-draws") == draws


def test_new_run_and_new_series_appear_by_themselves(watch, serve, tmp_path):
    root = tmp_path / "runs"
    with holter.Logger(root / "one") as logger:
        logger.log(0, "train/loss", 1.0)
        page = watch(serve(root)).open()
        drawn(page, "train/loss")
        logger.log(1, "val/loss", 1.0)
        drawn(page, "val/loss")
    expect(page.locator('.tile[data-run="one"] .status')).to_have_text("finished")
    with holter.Logger(root / "two") as logger:
        logger.log(0, "train/loss", 1.0)
    expect(page.locator("#run-list li")).to_have_count(2)
    expect(page.locator('.tile[data-run="two"]')).to_be_visible()
