"""A real Chromium and a real server. Console errors, exceptions and requests to other machines fail the test."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import browsers
import sample_runs

DESKTOP = {"viewport": {"width": 1200, "height": 760}}


@pytest.fixture(scope="module")
def chromium() -> Iterator:
    # No name resolves, so that a request to a CDN fails as on a machine without a network.
    with browsers.chromium("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1") as browser:
        yield browser


@pytest.fixture(scope="module")
def serve() -> Iterator:
    """Starts dashboards of folders and returns their URLs. The dashboards stop with the module."""
    from holter.dashboard import start

    dashboards = []

    def serve_folder(root: Path) -> str:
        dashboards.append(start(root))
        return dashboards[-1].url

    yield serve_folder
    for dashboard in dashboards:
        dashboard.stop()


@pytest.fixture(scope="module")
def shared_context(chromium):
    """The browser profile of the pages that tests share."""
    return chromium.new_context(**DESKTOP)


@pytest.fixture
def new_page(chromium) -> Iterator:
    """Creates pages of a server, each with its own browser profile, and checks them after the test."""
    from dashboard_page import DashboardPage

    pages = []

    def create(url: str, **options) -> DashboardPage:
        context = chromium.new_context(**{**DESKTOP, **options})
        pages.append(DashboardPage(context.new_page(), url))
        return pages[-1]

    yield create
    for dashboard_page in pages:
        dashboard_page.page.context.close()
    for dashboard_page in pages:
        dashboard_page.check()


@contextlib.contextmanager
def shared_page(pages: dict, context, url: str) -> Iterator:
    """One page for all tests of a module that use it, checked after each."""
    from dashboard_page import DashboardPage

    if url not in pages:
        pages[url] = DashboardPage(context.new_page(), url)
    yield pages[url]
    pages[url].page.evaluate("() => localStorage.clear()")
    pages[url].check()


@pytest.fixture(scope="module")
def pages_by_url(chromium) -> Iterator:
    pages: dict = {}
    yield pages
    for dashboard_page in pages.values():
        dashboard_page.page.close()


@pytest.fixture(scope="session")
def runs_root(tmp_path_factory) -> Path:
    """Four short runs. Two of them differ only in their seed."""
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
    """A page of the short runs, not opened yet."""
    with shared_page(pages_by_url, shared_context, runs_url) as page:
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
    """A page of a run of 100,000 steps, not opened yet."""
    with shared_page(pages_by_url, shared_context, long_url) as page:
        yield page
