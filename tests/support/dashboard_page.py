"""What browser tests need to know of the dashboard's page: how it is watched, where its charts are, what they show.

Whatever imports this is skipped where playwright is missing.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import holter

pytest.importorskip("playwright", reason="browser tests need playwright: pip install playwright")

from playwright.sync_api import ConsoleMessage, Locator, Page, Request, expect

__all__ = [
    "LONG_STEPS",
    "SPIKE",
    "Watched",
    "card",
    "drag",
    "drawn",
    "expect",
    "lines",
    "record_long_run",
    "traces",
]

LONG_STEPS = 100_000
SPIKE = 1000.0
_SPIKE_STEP = 61_234

expect.set_options(timeout=15_000)

# Plotly keeps what it drew with on the element; typed arrays are not JSON.
_TRACES = """card => card.querySelector('.js-plotly-plot').data.map(trace => ({
    type: trace.type, name: trace.name, meta: trace.meta ?? {}, text: trace.text,
    x: Array.from(trace.x ?? []), y: Array.from(trace.y ?? []),
}))"""

# What is not in the address.
_AS_AT_FIRST = """() => {
    document.querySelectorAll('dialog[open]').forEach(dialog => dialog.close());
    document.activeElement?.blur();
    document.getElementById('run-filter').value = '';
}"""


class Watched:
    """A page, and everything that goes wrong in it: errors it logs or throws, requests for another machine."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.figure_requests: list[Any] = []
        """The bodies of its requests for figures, the oldest first."""
        self._errors: list[str] = []
        self._allowed: list[str] = []
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self._errors.append(f"page error: {error}"))
        page.on("request", self._on_request)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self._errors.append(f"console {message.type}: {message.text} ({message.location.get('url', '')})")

    def _on_request(self, request: Request) -> None:
        if not re.match(r"http://127\.0\.0\.1:\d+/|about:|data:|blob:", request.url):
            self._errors.append(f"a request for another machine: {request.url}")
        if request.url.endswith("/figures"):
            self.figure_requests.append(request.post_data_json)

    def open(self, state: str = "") -> Page:
        """Open the page in a state: what stands behind the address' #.

        A page that is open already goes on, since plotly.js takes most of the time of a new one; all of its charts
        are new nevertheless.
        """
        if self.page.url.startswith(self.url):
            self._clear()
        self.figure_requests.clear()
        self.page.goto(f"{self.url}#{state}")
        return self.page

    def _clear(self) -> None:
        self.page.evaluate(_AS_AT_FIRST)
        self.page.mouse.move(0, 0)
        self.page.goto(f"{self.url}#run=")
        expect(self.page.locator(".card")).to_have_count(0)

    def allow(self, pattern: str) -> None:
        """Say which error the test itself brings about."""
        self._allowed.append(pattern)

    def check(self) -> None:
        """Fail if anything went wrong."""
        errors, self._errors = self._errors, []
        assert [error for error in errors if not any(re.search(one, error) for one in self._allowed)] == []


def card(page: Page, key: str) -> Locator:
    """Return the chart of a series, or a family's pattern, in the sections."""
    return page.locator(f'#sections .card[data-key="{key}"]')


def drawn(page: Page, key: str) -> Locator:
    """Scroll to a chart of the sections, wait until it is drawn, return it."""
    section = key.partition("/")[0] if "/" in key else ""
    page.locator(f'#sections > [data-section="{section}"] .heading').scroll_into_view_if_needed()
    found = card(page, key)
    found.scroll_into_view_if_needed()
    expect(found).to_have_attribute("data-state", "drawn")
    return found


def traces(chart: Locator) -> list[dict[str, Any]]:
    """Return the traces of a drawn chart: type, name, meta, text, x, y."""
    return list(chart.evaluate(_TRACES))


def lines(chart: Locator) -> list[dict[str, Any]]:
    """Return those that are lines, without ribbons, marks and the like."""
    return [trace for trace in traces(chart) if trace["type"] == "scatter" and "role" not in trace["meta"]]


def drag(page: Page, chart: Locator, start: float, stop: float) -> None:
    """Drag over a chart's plot between two parts of its width."""
    area = chart.locator(".nsewdrag").first.bounding_box()
    assert area is not None
    at = area["y"] + area["height"] / 2
    page.mouse.move(area["x"] + area["width"] * start, at)
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] * (start + stop) / 2, at, steps=3)
    page.mouse.move(area["x"] + area["width"] * stop, at, steps=3)
    page.mouse.up()


def record_long_run(path: Path) -> None:
    """Record 100,000 steps: `train/loss` with a spike at one of them, a metric that falls, a family of layers."""
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
