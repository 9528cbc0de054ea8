"""A real Chromium for tests of pages; where there is none, they are skipped and say why.

Playwright's synchronous interface keeps an event loop running in the thread that started it. It has to end with the
module that uses it: until then, nothing else in that thread can run a loop, nor start Playwright again.
"""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"


@contextlib.contextmanager
def chromium(*arguments: str) -> Iterator:
    """A browser without a window, which ends with the context."""
    playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not Path(CHROMIUM).exists():
        pytest.skip(f"there is no {CHROMIUM}")
    with playwright_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *arguments])
        yield browser
        browser.close()
