"""Starts a real Chromium for tests of pages. Without Chromium or playwright, the tests skip with the reason.

Playwright's synchronous API keeps an event loop running in the thread that started it. It must end with the module that
uses it: until then, nothing else in this thread can run an event loop or start playwright again.
"""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"


@contextlib.contextmanager
def chromium(*arguments: str) -> Iterator:
    """A headless browser, closed at the end of the context."""
    playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not Path(CHROMIUM).exists():
        pytest.skip(f"{CHROMIUM} does not exist")
    with playwright_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *arguments])
        yield browser
        browser.close()
