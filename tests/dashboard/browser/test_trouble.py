"""Hostile names are text, a run that is deleted is said to be gone, a server that goes away is waited for."""

import shutil
import socket

import pytest

import holter
import sample_runs
from dashboard_page import drawn, expect, traces
from holter.dashboard import start

SCRIPT = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
LONG = "x" * 10_000


@pytest.fixture(scope="module")
def hostile_url(serve, tmp_path_factory):
    root = tmp_path_factory.mktemp("hostile")
    for name in ("one", "two"):
        config = {SCRIPT: SCRIPT, "label": name}
        with holter.Logger(root / name, name=f"{name} {SCRIPT}", config=config, tags=(SCRIPT,)) as logger:
            for step in range(20):
                logger.log_many(step, {SCRIPT: 1.0 * step, f"long/{LONG}": 2.0, "a/<b>bold</b> %{y} $x^2$": 3.0})
    return serve(root)


def test_hostile_names_are_text(watch, hostile_url):
    page = watch(hostile_url).open()
    expect(page.locator(".tile .name").first).to_contain_text("<script>")
    charts = page.locator("#sections .card")
    page.evaluate("() => scrollTo(0, document.documentElement.scrollHeight)")  # cards are made when they come into view
    expect(charts).to_have_count(3)
    for index in range(3):
        charts.nth(index).scroll_into_view_if_needed()
        expect(charts.nth(index)).to_have_attribute("data-state", "drawn")
    script = page.locator("#sections .card .title", has_text="onerror")
    expect(script).to_be_visible()
    area = charts.nth(0).locator(".nsewdrag").first.bounding_box()
    page.mouse.move(area["x"] + 100, area["y"] + 50)
    expect(page.locator("#tooltip")).to_contain_text("<script>")
    script.click()
    expect(page.locator("#full .card")).to_have_attribute("data-state", "drawn")
    page.keyboard.press("Escape")
    page.locator("#run-group").select_option("config:label")
    for tab in ("2", "3"):
        page.keyboard.press(tab)
    expect(page.locator("#details")).to_contain_text("onerror")
    assert page.title() == "Holter"
    assert page.evaluate("() => document.querySelectorAll('img, main script').length") == 0


def test_names_of_10_kb_do_not_break_the_page(watch, hostile_url):
    page = watch(hostile_url, viewport={"width": 800, "height": 700}).open("q=xxx")
    chart = page.locator("#sections .card")
    expect(chart).to_have_attribute("data-state", "drawn")
    assert len(traces(chart)) >= 2
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    chart.locator(".title").click()
    expect(page.locator("#full .card")).to_have_attribute("data-state", "drawn")
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


def test_deleted_run_is_said_and_the_page_lives_on(watch, serve, tmp_path):
    root = tmp_path / "runs"
    for name in ("kept", "doomed"):
        sample_runs.record(root / name, steps=50)
    watched = watch(serve(root))
    watched.allow(r"status of 410 \(Gone\)")
    page = watched.open()
    drawn(page, "train/loss")
    shutil.rmtree(root / "doomed")
    expect(page.locator("#toast")).to_contain_text("doomed is gone")
    expect(page.locator("#run-list li")).to_have_count(1)
    expect(page.locator(".tile")).to_have_count(1)
    page.locator("#log").click()
    expect(drawn(page, "val/loss")).to_have_attribute("data-state", "drawn")


def test_link_to_a_run_that_is_gone(runs_page):
    page = runs_page.open("run=no-such-run&tab=charts")
    expect(page.locator("#empty")).to_contain_text("No run is selected")
    page = runs_page.open("run=no-such-run&tab=compare")
    expect(page.locator("#compare-message")).to_contain_text("Select one or more runs")


def test_server_that_goes_away_is_waited_for(watch, tmp_path):
    root = tmp_path / "runs"
    sample_runs.record(root / "one", steps=50)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with start(root, port=port) as dashboard:
        watched = watch(dashboard.url)
        watched.allow(r"net::ERR_(CONNECTION_REFUSED|INCOMPLETE_CHUNKED_ENCODING|CONNECTION_RESET|EMPTY_RESPONSE)")
        page = watched.open()
        drawn(page, "train/loss")
    expect(page.locator("#lost")).to_be_visible()
    expect(page.locator("#lost")).to_contain_text("The server does not answer")
    sample_runs.record(root / "two", steps=50)
    with start(root, port=port):
        expect(page.locator("#lost")).to_be_hidden()
        expect(page.locator('.tile[data-run="two"]')).to_be_visible()
