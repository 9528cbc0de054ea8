"""A real Chromium on a real server. What the page logs as an error, throws, or asks of another machine fails a test."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import browsers
import sample_runs

DESKTOP = {"viewport": {"width": 1200, "height": 760}}


@pytest.fixture(scope="module")
def chromium() -> Iterator:
    # No name can be resolved, so that a request for a CDN fails as it would on a machine without a network.
    with browsers.chromium("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1") as browser:
        yield browser


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


@pytest.fixture(scope="module")
def shared_context(chromium):
    """Where pages share what the browser keeps."""
    return chromium.new_context(**DESKTOP)


@pytest.fixture
def watch(chromium) -> Iterator:
    """Makes new pages of a server, each with a browser's profile of its own, and checks them when the test is over."""
    from dashboard_page import Watched

    pages = []

    def watch_one(url: str, **options) -> Watched:
        context = chromium.new_context(**{**DESKTOP, **options})
        pages.append(Watched(context.new_page(), url))
        return pages[-1]

    yield watch_one
    for watched in pages:
        watched.page.context.close()
    for watched in pages:
        watched.check()


@contextlib.contextmanager
def used_again(pages: dict, context, url: str) -> Iterator:
    """One page for all tests of a module that ask for it; checked after each."""
    from dashboard_page import Watched

    if url not in pages:
        pages[url] = Watched(context.new_page(), url)
    yield pages[url]
    pages[url].page.evaluate("() => localStorage.clear()")
    pages[url].check()


@pytest.fixture(scope="module")
def pages_by_url(chromium) -> Iterator:
    pages: dict = {}
    yield pages
    for watched in pages.values():
        watched.page.close()


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
def runs_page(pages_by_url, shared_context, runs_url) -> Iterator:
    """A page, not opened yet, of the short runs."""
    with used_again(pages_by_url, shared_context, runs_url) as page:
        yield page


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
def long_page(pages_by_url, shared_context, long_url) -> Iterator:
    """A page, not opened yet, of a run of 100,000 steps."""
    with used_again(pages_by_url, shared_context, long_url) as page:
        yield page
