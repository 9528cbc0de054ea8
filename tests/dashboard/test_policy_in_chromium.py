"""The content security policy in a real Chromium: plotly.js draws every kind of figure, attacks are blocked."""

import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

import browsers
from holter.dashboard import start
from holter.dashboard.http._headers import SecurityHeaders
from holter.dashboard.http._static import StaticFiles

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>working</title>
<link rel="stylesheet" href="/app.css" id="plotly.js-style-global" class="no-inline-styles">
<div id="lines"></div><div id="cells"></div><div id="bars"></div>
<script type="module" src="/draw.js"></script></html>"""
# Every kind of trace that holter.plots creates, and every call of plotly.js that the page makes.
DRAW = """
const script = document.createElement("script");
script.src = "/plotly.min.js";
await new Promise((loaded) => { script.onload = loaded; document.head.append(script); });
const x = [...Array(200).keys()], y = x.map((v) => Math.sin(v / 9));
await Plotly.react("lines", [
  { x, y, mode: "lines", line: { width: 0 } },
  { x, y: y.map((v) => v + 1), mode: "lines", fill: "tonexty", fillcolor: "rgba(0, 0, 255, 0.2)" },
  { x: [3, 50], y: [0, 0], mode: "markers", marker: { symbol: "triangle-up", color: "red" } },
], {
  width: 600, height: 400, hovermode: "x unified", shapes: [{ type: "line", x0: 3, x1: 3, y0: 0, y1: 1 }],
  yaxis: { type: "log", exponentformat: "power" },
});
const even = { z: [[1, 2, 3], [3, null, 1]], x: [0, 1, 2], y: [0, 1], type: "heatmap", colorscale: "Viridis" };
await Plotly.react("cells", [even], {});
await Plotly.react("bars", [{ x: ["layer 0", "layer 1"], y: [1, 2], type: "bar" }], {});
await Plotly.relayout("lines", { "xaxis.range": [0, 10] });
const svg = await Plotly.toImage("lines", { format: "svg" });
const png = await Plotly.toImage("cells", { format: "png" });
document.title = svg.startsWith("data:image/svg") && png.startsWith("data:image/png") ? "drawn" : "failed";
"""
REPORT = "document.addEventListener('securitypolicyviolation', (e) => console.error('violation', e.violatedDirective))"
# What an injected script could try.
ATTACKS = """
for (const attempt of [() => eval("1"), () => new Function("return 1")()]) {
  try { attempt(); window.broken = true; } catch { /* expected */ }
}
document.body.insertAdjacentHTML("beforeend", '<p style="color: red">x<img src="x:" onerror="window.broken = true">');
const inline = document.createElement("script");
inline.textContent = "window.broken = true";
document.body.append(inline);
const style = document.createElement("style");
style.textContent = "body { background: url(http://evil.example/) }";
document.head.append(style);
let isReachable = true;
await fetch("http://127.0.0.1:9/", { mode: "no-cors" }).catch(() => { isReachable = false; });
document.title = window.broken || isReachable || style.sheet ? "broken" : "blocked";
"""


@pytest.fixture(scope="module")
def chromium():
    with browsers.chromium() as browser:
        yield browser


@pytest.fixture
def open_page(tmp_path, chromium):
    """Opens a page that runs a script behind the dashboard's guard; returns it with the list of its console errors."""
    opened = []

    def open_with(script: str):
        static = StaticFiles()
        routes = [
            Route("/", lambda request: HTMLResponse(PAGE)),
            Route("/draw.js", lambda request: Response(script, media_type="text/javascript")),
            Route("/favicon.ico", lambda request: Response(status_code=204)),
            Route("/{name}", lambda request: static.respond(request.path_params["name"], request.headers)),
        ]
        dashboard = start(tmp_path)
        dashboard._prepared.app._guarded = SecurityHeaders(Starlette(routes=routes))
        page = chromium.new_page()
        opened.append((dashboard, page))
        page.add_init_script(REPORT)
        errors = []
        page.on("console", lambda line: errors.append(line.text) if line.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(dashboard.url)
        return page, errors

    yield open_with
    for dashboard, page in opened:
        page.close()
        dashboard.stop()


def wait_for_title(page) -> str:
    """Return the title that the script sets last. Waits by a locator: the policy blocks `wait_for_function`."""
    page.locator("head > title", has_not_text="working").wait_for(state="attached")
    return page.title()


def test_plotly_draws_every_figure_without_a_violation(open_page):
    page, errors = open_page(DRAW)
    assert wait_for_title(page) == "drawn"
    page.locator("#lines .nsewdrag").first.hover()
    page.locator("#lines .hoverlayer .legend").wait_for(state="attached")
    page.locator("#cells .colorbar, #cells .cbfill").first.wait_for(state="attached")
    assert errors == []


def test_injected_code_is_blocked(open_page):
    page, errors = open_page(ATTACKS)
    assert wait_for_title(page) == "blocked"
    violations = {error.removeprefix("violation ") for error in errors if error.startswith("violation ")}
    assert {"script-src-elem", "script-src-attr", "style-src-elem", "style-src-attr", "connect-src"} <= violations
