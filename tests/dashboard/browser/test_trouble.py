"""Hostile names are shown as text, deleted runs are reported, and the page waits for a server that is down."""

import shutil
from urllib.parse import urlsplit

import pytest

import holter
import sample_runs
from dashboard_page import drawn, eventually, expect, hover_at, scroll_until_drawn, traces
from holter.dashboard import start

SCRIPT = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
LONG = "x" * 10_000
FITS = "() => document.documentElement.scrollWidth <= innerWidth"


@pytest.fixture(scope="module")
def hostile_url(serve, tmp_path_factory):
    root = tmp_path_factory.mktemp("hostile")
    for name in ("one", "two"):
        config = {SCRIPT: SCRIPT, "label": name}
        with holter.Logger(root / name, name=f"{name} {SCRIPT}", config=config, tags=(SCRIPT,)) as logger:
            for step in range(20):
                logger.log_many(step, {SCRIPT: 1.0 * step, f"long/{LONG}": 2.0, "a/<b>bold</b> %{y} $x^2$": 3.0})
    return serve(root)


def test_hostile_names_are_text(new_page, hostile_url):
    page = new_page(hostile_url).open()
    expect(page.locator(".tile .name").first).to_contain_text("<script>")
    expect(page.locator("#sections > section")).to_have_count(3)
    for index in (3, 2, 1):
        section = f"#sections > section:nth-child({index})"
        scroll_until_drawn(page, f"{section} .card", section)
    chart = page.locator("#sections .card").first
    hover_at(page, chart, 0.3)
    expect(page.locator("#tooltip")).to_contain_text("<script>")
    page.locator("#sections .card .title", has_text="onerror").click()
    expect(page.locator("#fullscreen .card")).to_have_attribute("data-state", "drawn")
    page.keyboard.press("Escape")
    expect(page.locator("#fullscreen")).to_be_hidden()
    page.keyboard.press("2")
    expect(page.locator("#compare-table")).to_contain_text("onerror")
    page.locator("#run-group").select_option("config:label")
    expect(page.locator("#compare-table thead")).to_contain_text("label = one")
    page.get_by_role("button", name="Details", exact=True).click()
    expect(page.locator("#details")).to_contain_text("onerror")
    assert page.title() == "Holter"
    assert page.evaluate("() => document.querySelectorAll('img, main script').length") == 0


def test_names_of_10_kb_do_not_break_the_page(new_page, hostile_url):
    page = new_page(hostile_url, viewport={"width": 800, "height": 700}).open("q=xxx")
    scroll_until_drawn(page, "#sections .card", "#sections > section")
    assert len(traces(page.locator("#sections .card"))) >= 2
    eventually(lambda: page.evaluate(FITS))
    page.locator("#sections .card .title").click()
    expect(page.locator("#fullscreen .card")).to_have_attribute("data-state", "drawn")
    eventually(lambda: page.evaluate(FITS))


def test_deleted_run_is_reported_and_the_page_keeps_working(new_page, serve, tmp_path):
    root = tmp_path / "runs"
    for name in ("kept", "doomed"):
        sample_runs.record(root / name, steps=50)
    dashboard_page = new_page(serve(root))
    dashboard_page.allow(r"status of 410 \(Gone\)")
    page = dashboard_page.open()
    drawn(page, "train/loss")
    shutil.rmtree(root / "doomed")
    expect(page.locator("#toast")).to_contain_text("doomed is gone")
    expect(page.locator("#run-list li")).to_have_count(1)
    expect(page.locator(".tile")).to_have_count(1)
    page.locator("#log").click()
    drawn(page, "val/loss")


def test_link_to_a_run_that_does_not_exist(runs_page):
    page = runs_page.open("run=no-such-run&tab=charts")
    expect(page.locator("#empty")).to_contain_text("No runs selected")
    page = runs_page.open("run=no-such-run&tab=compare")
    expect(page.locator("#compare-message")).to_contain_text("Select one or more runs")


def test_page_reconnects_to_a_restarted_server(new_page, tmp_path):
    root = tmp_path / "runs"
    sample_runs.record(root / "one", steps=50)
    with start(root) as dashboard:
        port = urlsplit(dashboard.url).port
        dashboard_page = new_page(dashboard.url)
        dashboard_page.allow(
            r"net::ERR_(CONNECTION_REFUSED|INCOMPLETE_CHUNKED_ENCODING|CONNECTION_RESET|EMPTY_RESPONSE)"
        )
        page = dashboard_page.open()
        drawn(page, "train/loss")
    expect(page.locator("#offline")).to_be_visible()
    expect(page.locator("#offline")).to_contain_text("Connection lost")
    sample_runs.record(root / "two", steps=50)
    with start(root, port=port):
        expect(page.locator("#offline")).to_be_hidden()
        expect(page.locator('.tile[data-run="two"]')).to_be_visible()
