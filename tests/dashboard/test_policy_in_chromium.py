"""The content security policy in a real Chromium: plotly.js draws all that we ask of it, and nothing is blocked."""

import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

import browsers
from holter.dashboard import start
from holter.dashboard.http._guard import Guard
from holter.dashboard.http._static import StaticFiles

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>working</title>
<link rel="stylesheet" href="/app.css" id="plotly.js-style-global" class="no-inline-styles">
<div id="lines"></div><div id="cells"></div><div id="bars"></div>
<script type="module" src="/draw.js"></script></html>"""
# Every kind of trace that holter.plots makes, and what the page does with them.
DRAW = """
import "/csp.js";
const script = document.createElement("script");
script.src = "/plotly.min.js";
await new Promise((loaded) => { script.onload = loaded; document.head.append(script); });
const x = [...Array(200).keys()], y = x.map((v) => Math.sin(v / 9));
await Plotly.newPlot("lines", [
  { x, y, mode: "lines", line: { width: 0 } },
  { x, y: y.map((v) => v + 1), mode: "lines", fill: "tonexty", fillcolor: "rgba(0, 0, 255, 0.2)" },
  { x: [3, 50], y: [0, 0], mode: "markers", marker: { symbol: "triangle-up", color: "red" } },
], { width: 600, height: 400, hovermode: "x unified", shapes: [{ type: "line", x0: 3, x1: 3, y0: 0, y1: 1 }] });
await Plotly.newPlot("cells", [{ z: [[1, 2, 3], [3, null, 1]], type: "heatmap", colorscale: "Viridis" }], {});
await Plotly.newPlot("bars", [{ x: ["layer 0", "layer 1"], y: [1, 2], type: "bar" }], {});
await Plotly.relayout("lines", { "xaxis.range": [0, 10] });
const svg = await Plotly.toImage("lines", { format: "svg" });
const png = await Plotly.toImage("cells", { format: "png" });
document.title = svg.startsWith("data:image/svg") && png.startsWith("data:image/png") ? "drawn" : "failed";
"""
TELL = "document.addEventListener('securitypolicyviolation', (e) => console.error('violation', e.violatedDirective))"
# A page of an attacker's wishes, each of which has to be refused.
ATTACKS = """
for (const attempt of [() => eval("1"), () => new Function("return 1")()]) {
  try { attempt(); window.broken = true; } catch { /* as it should be */ }
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
document.title = window.broken || isReachable || style.sheet ? "broken" : "refused";
"""


@pytest.fixture(scope="module")
def chromium():
    with browsers.chromium() as browser:
        yield browser


@pytest.fixture
def page_of(tmp_path, chromium):
    """Opens a page with a script of ours behind the guard of the dashboard, and notes what the browser complains of."""
    opened = []

    def open_one(script: str):
        static = StaticFiles()
        routes = [
            Route("/", lambda request: HTMLResponse(PAGE)),
            Route("/draw.js", lambda request: Response(script, media_type="text/javascript")),
            Route("/favicon.ico", lambda request: Response(status_code=204)),
            Route("/{name}", lambda request: static.respond(request.path_params["name"], request.headers)),
        ]
        dashboard = start(tmp_path)
        dashboard._prepared.app._guarded = Guard(Starlette(routes=routes))
        page = chromium.new_page()
        opened.append((dashboard, page))
        page.add_init_script(TELL)
        complaints = []
        page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(dashboard.url)
        return page, complaints

    yield open_one
    for dashboard, page in opened:
        page.close()
        dashboard.stop()


def title_after_work(page) -> str:
    """The title once the page's script has set it; by a locator, since the policy forbids `wait_for_function`."""
    page.locator("head > title", has_not_text="working").wait_for(state="attached")
    return page.title()


def test_plotly_draws_all_that_we_ask_of_it_without_a_violation(page_of):
    page, complaints = page_of(DRAW)
    assert title_after_work(page) == "drawn"
    page.locator("#lines .nsewdrag").first.hover()
    page.locator("#lines .hoverlayer .legend").wait_for(state="attached")
    assert page.locator("#cells .colorbar, #cells .cbfill").count() > 0
    assert complaints == []


def test_what_an_attacker_would_do_is_refused(page_of):
    page, complaints = page_of(ATTACKS)
    assert title_after_work(page) == "refused"
    told = {said.removeprefix("violation ") for said in complaints if said.startswith("violation ")}
    assert {"script-src-elem", "script-src-attr", "style-src-elem", "style-src-attr", "connect-src"} <= told
