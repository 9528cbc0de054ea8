"""A real Chromium on a real server. Whatever the page logs as an error, throws, or asks of another machine fails the test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import sample_runs

DESKTOP = {"viewport": {"width": 1280, "height": 900}}


@pytest.fixture(scope="session")
def chromium() -> Iterator:
    from playwright.sync_api import sync_playwright

    from dashboard_page import CHROMIUM

    with sync_playwright() as playwright:
        # No name can be resolved, so that a request for a CDN fails as it would on a machine without a network.
        arguments = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def serve() -> Iterator:
    """Starts dashboards of folders, and returns their addresses; they end with the module."""
    from holter.dashboard import start

    dashboards = []

    def serve_one(root: Path) -> str:
        dashboards.append(start(root))
        return dashboards[-1].url

    yield serve_one
    for dashboard in dashboards:
        dashboard.stop()


@pytest.fixture(scope="session")
def shared_context(chromium):
    """Where pages share what the browser keeps: plotly.js is fetched and compiled once."""
    return chromium.new_context(**DESKTOP)


@pytest.fixture
def watch(chromium, shared_context) -> Iterator:
    """Makes watched pages of a server, and checks them when the test is over; options give one a context of its own."""
    from dashboard_page import Watched

    pages = []

    def watch_one(url: str, **options) -> Watched:
        context = chromium.new_context(**{**DESKTOP, **options}) if options else shared_context
        pages.append(Watched(context.new_page(), url))
        return pages[-1]

    yield watch_one
    for watched in pages:
        watched.page.evaluate("() => localStorage.clear()")
        watched.page.close()
        if watched.page.context is not shared_context:
            watched.page.context.close()
    for watched in pages:
        watched.check()


@pytest.fixture(scope="session")
def runs_root(tmp_path_factory) -> Path:
    """Four short runs, of which two differ in their seed alone."""
    root = tmp_path_factory.mktemp("browser") / "runs"
    sample_runs.record(root / "prose", seed=0)
    sample_runs.record(root / "code", seed=1, config={"data": "code"})
    sample_runs.record(root / "lr=1 seed=1", seed=2, steps=300)
    sample_runs.record(root / "lr=1 seed=2", seed=3, steps=300)
    return root


@pytest.fixture(scope="module")
def runs_url(serve, runs_root) -> str:
    return serve(runs_root)


@pytest.fixture
def runs_page(watch, runs_url):
    """A page, not opened yet, of the short runs."""
    return watch(runs_url)


@pytest.fixture(scope="session")
def long_root(tmp_path_factory) -> Path:
    from dashboard_page import record_long_run

    root = tmp_path_factory.mktemp("long") / "runs"
    record_long_run(root / "long")
    return root


@pytest.fixture(scope="module")
def long_url(serve, long_root) -> str:
    return serve(long_root)


@pytest.fixture
def long_page(watch, long_url):
    """A page, not opened yet, of a run of 100,000 steps."""
    return watch(long_url)
