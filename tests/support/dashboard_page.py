"""Helpers for browser tests of the dashboard: open its page, find its charts, read what they show.

Everything here waits for a condition with a deadline, since the page fetches and draws in its own time. Modules that
import this are skipped if playwright is missing.
"""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

import holter

pytest.importorskip("playwright", reason="browser tests need playwright: pip install playwright")

from playwright.sync_api import ConsoleMessage, Locator, Page, Request, expect

__all__ = [
    "LONG_STEPS",
    "SPIKE",
    "DashboardPage",
    "card",
    "drag",
    "drawn",
    "eventually",
    "expect",
    "hover_at",
    "lines",
    "record_long_run",
    "scroll_until_drawn",
    "traces",
]

LONG_STEPS = 100_000
SPIKE = 1000.0
_SPIKE_STEP = 61_234
_TIMEOUT_SECS = 60.0  # on a busy machine, plotly.js and SciPy take many seconds to load

expect.set_options(timeout=_TIMEOUT_SECS * 1000)

_T = TypeVar("_T")

# plotly.js stores the figure on the element. Typed arrays are not JSON.
_TRACES = """card => card.dataset.state === 'drawn' && card.querySelector('.js-plotly-plot').data.map(trace => ({
    type: trace.type, name: trace.name, meta: trace.meta ?? {}, text: trace.text,
    x: Array.from(trace.x ?? []), y: Array.from(trace.y ?? []),
}))"""

# Scrolls to a chart, or to its section until the chart exists. Returns the state of the chart.
_SCROLL_TO = """([chart, section]) => {
    const card = document.querySelector(chart);
    (card ?? document.querySelector(section))?.scrollIntoView({block: 'center'});
    return card?.dataset.state;
}"""

_PLOT_AREA = """card => {
    const area = card.dataset.state === 'drawn' && card.querySelector('.nsewdrag');
    return area && (({x, y, width, height}) => ({x, y, width, height}))(area.getBoundingClientRect());
}"""

# Resets what the URL does not hold.
_RESET = """() => {
    document.querySelectorAll('dialog[open]').forEach(dialog => dialog.close());
    document.querySelectorAll(':popover-open').forEach(popover => popover.hidePopover());
    document.activeElement?.blur();
    document.getElementById('run-filter').value = '';
}"""


class DashboardPage:
    """A page of a dashboard. Records errors in the console, exceptions, and requests to other machines."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.figure_requests: list[Any] = []
        """The bodies of the requests for figures, the oldest first."""
        self._errors: list[str] = []
        self._allowed: list[str] = []
        page.set_default_timeout(_TIMEOUT_SECS * 1000)
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self._errors.append(f"page error: {error}"))
        page.on("request", self._on_request)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self._errors.append(f"console {message.type}: {message.text} ({message.location.get('url', '')})")

    def _on_request(self, request: Request) -> None:
        if not re.match(r"http://127\.0\.0\.1:\d+/|about:|data:|blob:", request.url):
            self._errors.append(f"request to another machine: {request.url}")
        if request.url.endswith("/figures"):
            self.figure_requests.append(request.post_data_json)

    def open(self, state: str = "") -> Page:
        """Open the page and wait for its list of runs.

        A page that is already open is reused, because loading plotly.js takes most of the time. Its charts are new.

        Args:
            state: The URL's hash.
        """
        if self.page.url.startswith(self.url):
            self._clear()
        self.figure_requests.clear()
        self.page.goto(f"{self.url}#{state}")
        expect(self.page.locator("#run-count")).to_have_text(re.compile(r"^[\d,]+ of [\d,]+ runs?$"))
        return self.page

    def _clear(self) -> None:
        self.page.evaluate(_RESET)
        self.page.mouse.move(0, 0)
        self.page.goto(f"{self.url}#run=")
        expect(self.page.locator(".card")).to_have_count(0)

    def allow(self, pattern: str) -> None:
        """Allow an error that the test causes on purpose."""
        self._allowed.append(pattern)

    def check(self) -> None:
        """Fail if there were errors."""
        errors, self._errors = self._errors, []
        unexpected = [error for error in errors if not any(re.search(pattern, error) for pattern in self._allowed)]
        assert not unexpected, unexpected


def eventually(read: Callable[[], _T], is_expected: Callable[[_T], object] = bool) -> _T:
    """Call `read` until its result is as expected, for a minute at most. Return the result."""
    deadline = time.monotonic() + _TIMEOUT_SECS
    while not is_expected(value := read()):
        assert time.monotonic() < deadline, f"after {_TIMEOUT_SECS} s still {value!r}"
        time.sleep(0.02)
    return value


def card(page: Page, key: str) -> Locator:
    """Return the chart of a series, or of a family's pattern, in the sections."""
    return page.locator(f'#sections .card[data-key="{key}"]')


def drawn(page: Page, key: str) -> Locator:
    """Scroll to a chart of the sections until it is drawn, and return it."""
    section = key.partition("/")[0] if "/" in key else ""
    scroll_until_drawn(page, f'#sections .card[data-key="{key}"]', f'#sections > [data-section="{section}"]')
    return card(page, key)


def scroll_until_drawn(page: Page, chart: str, section: str) -> None:
    """Scroll to a chart, or to its section until the chart exists, until it is drawn.

    The page may move it out of view again at any time, when what is above it becomes higher.

    Args:
        page: The page.
        chart: CSS selector of the card.
        section: CSS selector of its section.
    """
    eventually(lambda: page.evaluate(_SCROLL_TO, [chart, section]), lambda state: state == "drawn")


def traces(chart: Locator) -> list[dict[str, Any]]:
    """Wait until a chart is drawn, and return its traces: type, name, meta, text, x, y."""
    return list(eventually(lambda: chart.evaluate(_TRACES)))


def lines(chart: Locator) -> list[dict[str, Any]]:
    """Return the traces that are lines, not ribbons or marks."""
    return [trace for trace in traces(chart) if trace["type"] == "scatter" and "role" not in trace["meta"]]


def _plot_area(chart: Locator) -> dict[str, float]:
    """The position of the plot area, once it has stopped moving."""
    positions: list[Any] = [None]

    def is_stable(position: Any) -> bool:
        positions.append(position)
        return bool(position) and position == positions[-2]

    return dict(eventually(lambda: chart.evaluate(_PLOT_AREA), is_stable))


def hover_at(page: Page, chart: Locator, part: float) -> None:
    """Move the pointer to a part of the width of a chart's plot area."""
    area = _plot_area(chart)
    page.mouse.move(area["x"] + area["width"] * part, area["y"] + area["height"] / 2)


def drag(page: Page, chart: Locator, start: float, stop: float) -> None:
    """Drag over a chart's plot area between two parts of its width."""
    area = _plot_area(chart)
    at = area["y"] + area["height"] / 2
    page.mouse.move(area["x"] + area["width"] * start, at)
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] * (start + stop) / 2, at, steps=3)
    page.mouse.move(area["x"] + area["width"] * stop, at, steps=3)
    page.mouse.up()


def record_long_run(path: Path) -> None:
    """Record 100,000 steps: `train/loss` with a spike at one of them, a falling metric, a family of layers."""
    names = ["train/loss", "train/progress", *(f"entropy/layer_{layer}" for layer in range(6))]
    steps = np.arange(LONG_STEPS)
    layers = [layer + np.cos(steps / 5000) for layer in range(6)]
    table = np.stack([1 + np.sin(steps / 9000) * 0.2, -steps / 1e3, *layers], axis=1)
    table += np.random.default_rng(0).normal(0, 0.01, table.shape)
    table[_SPIKE_STEP, 0] = SPIKE
    with holter.Logger(path) as logger:
        metrics = logger.metrics(names)
        for step, row in enumerate(table):
            logger.log_array(step, metrics, row)
