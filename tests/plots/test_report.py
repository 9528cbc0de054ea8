"""The report is a single file that opens offline, draws every chart, and escapes every text of a run."""

import html.parser
import json
import sys
from pathlib import Path

import numpy as np
import pytest

import browsers
import holter
from holter.plots import report
from waiting import wait_until

pytest.importorskip("plotly")
SCRIPT = "<script>alert(1)</script>"
BREAKOUT = "</script><script>alert(2)</script><!--"


@pytest.fixture(scope="module")
def evil_run(tmp_path_factory) -> holter.Run:
    """A run whose texts are all markup, with an even grid, exponents, NaN and a mark."""
    config = {"note": f"<img src=x onerror=alert(3)> {BREAKOUT}", "nested": {"<b>": [1, {"x": "</td>"}]}}
    path = tmp_path_factory.mktemp("evil") / "run"
    with holter.Logger(path, name=BREAKOUT, config=config, tags=[SCRIPT]) as logger:
        for step in range(200):
            values = {
                "train/loss": 2.0 - step / 200,
                SCRIPT: float(step),
                f"{BREAKOUT}%{{x}}": 1.0,
                "lr": 3e-4 - step * 1e-6,
            }
            values |= {f"{SCRIPT}/layer_{layer}": layer + step / 100 for layer in range(6)}
            values["x" * 10_000] = np.nan if step == 7 else 1.0
            logger.log_many(step, values)
        logger.log(100, f"mark/{SCRIPT}", 1.0)
    return holter.open_run(path)


@pytest.fixture(scope="module")
def browser():
    with browsers.chromium() as chromium:
        yield chromium


class Opened:
    """A page opened offline, with its console messages, errors, dialogs and requests."""

    def __init__(self, browser, path: Path, scheme: str = "light") -> None:
        self.context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=scheme, offline=True)
        self.page = self.context.new_page()
        self.problems: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.problems.append(message.text))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.problems.append(f"dialog {dialog.message}"), dialog.dismiss()))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())
        wait_until(lambda: self.page.locator("[data-chart]:not([data-drawn])").count() == 0, 60)

    def __enter__(self):
        return self

    def __exit__(self, *raised):
        self.context.close()


class Tags(html.parser.HTMLParser):
    """The tags and attributes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        self.attributes += attrs


def test_report_opens_offline_and_escapes_hostile_names(evil_run, tmp_path, browser):
    report(evil_run, tmp_path / "report.html")
    with Opened(browser, tmp_path / "report.html") as opened:
        page = opened.page
        drawn = page.locator("[data-drawn='light']").count()
        assert drawn == page.locator("[data-chart]").count() >= 5
        assert page.locator("[data-chart] .main-svg").count() >= drawn
        assert page.locator("h1").inner_text() == BREAKOUT
        assert page.get_by_role("rowheader", name=SCRIPT, exact=True).count() == 1
        # The hover has a bold value, whose style the policy must allow.

        def shows_hover():
            box = page.locator("[data-chart='0']").bounding_box()
            for offset in (0, 1):
                page.mouse.move(box["x"] + box["width"] / 2 + offset, box["y"] + box["height"] / 2)
            return page.locator(".hoverlayer .legend").first.is_visible()

        wait_until(shows_hover, 30)
        page.locator("#theme").click()
        wait_until(lambda: page.locator("[data-drawn='dark']").count() == drawn, 60)
        assert opened.problems == []
        assert opened.requests == [(tmp_path / "report.html").as_uri()]


def test_report_starts_in_system_theme_and_hides_lines(layered_run, tmp_path, browser):
    report(layered_run, tmp_path / "report.html")
    with Opened(browser, tmp_path / "report.html", "dark") as opened:
        page = opened.page
        assert page.locator("[data-drawn='dark']").count() == page.locator("[data-chart]").count()
        figure = page.locator("figure").first
        lines = figure.locator(".scatterlayer .trace")
        before = lines.count()
        figure.locator(".legend button").nth(1).click()
        wait_until(lambda: lines.count() < before, 30)
        assert opened.problems == []


def test_several_runs_are_compared(layered_run, evil_run, tmp_path, browser):
    report([layered_run, evil_run], tmp_path / "report.html", at=[100])
    with Opened(browser, tmp_path / "report.html") as opened:
        page = opened.page
        assert page.locator("caption", has_text="Runs").count() == 1
        assert page.locator("caption", has_text="Comparison").count() == 1
        assert page.get_by_role("columnheader", name="layered", exact=True).count() == 1
        assert opened.problems == []


def test_policy_allows_inline_code_only_by_hash(evil_run, tmp_path):
    report(evil_run, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    policy = text.split('Content-Security-Policy" content="')[1].split('"')[0]
    directives = {part.split()[0]: part.split()[1:] for part in policy.split(";")}
    assert directives["default-src"] == ["'none'"]
    assert len(directives["script-src"]) == 2
    assert all(source.startswith("'sha256-") for source in directives["script-src"] + directives["style-src"])
    assert "connect-src" not in directives
    tags = Tags(text)
    assert tags.names.count("script") == 3
    assert "img" not in tags.names
    assert not [name for name, _ in tags.attributes if name.startswith("on") or name in {"style", "src", "href"}]


def test_data_is_strict_json(layered_run, tmp_path):
    report(layered_run, tmp_path / "report.html")
    block = (tmp_path / "report.html").read_text().split('id="charts">')[1].split("</script>")[0]
    charts = json.loads(block, parse_constant=lambda constant: pytest.fail(f"{constant} is not JSON"))
    assert [set(chart) for chart in charts] == [{"figure", "dark"}] * len(charts)


def test_report_contains_facts_of_run(layered_run, long_run, tmp_path):
    report(layered_run, tmp_path / "report.html", title="Mine")
    text = (tmp_path / "report.html").read_text()
    for expected in (
        "<h1>Mine</h1>",
        "model.dim",
        "attention_entropy/layer_*",
        "5 of 300 values",
        "command line",
        "grad_norm_total",
    ):
        assert expected in text, expected
    report(long_run, tmp_path / "report.html")
    assert "11 of 100,000 values" in (tmp_path / "report.html").read_text()


def test_progress_is_reported_from_zero_to_total(layered_run, tmp_path):
    calls = []
    report(layered_run, tmp_path / "report.html", on_progress=lambda *arguments: calls.append(arguments))
    totals = {total for _, total, _ in calls}
    assert len(totals) == 1
    assert [done for done, _, _ in calls] == list(range(totals.pop() + 1))
    assert calls[0][2] == "loss"


def test_run_without_points_has_report(record, tmp_path):
    report(record("empty", {}), tmp_path / "report.html")
    assert "Origin" in (tmp_path / "report.html").read_text()


def test_failed_write_raises_and_leaves_no_temporary_file(layered_run, tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="nowhere' of the report does not exist"):
        report(layered_run, tmp_path / "nowhere" / "report.html")
    with pytest.raises(IsADirectoryError, match="is a directory"):
        report(layered_run, tmp_path)
    with pytest.raises(ValueError, match="at least one run"):
        report([], tmp_path / "report.html")
    target = tmp_path / "report.html"
    target.write_text("old")
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("no room")))
    with pytest.raises(OSError, match="no room"):
        report(layered_run, target)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert target.read_text() == "old"


def test_missing_dependencies_raise(layered_run, tmp_path, monkeypatch):
    with monkeypatch.context() as context:
        context.setitem(sys.modules, "jinja2", None)
        with pytest.raises(ImportError, match=r"jinja2 is required: pip install 'holter\[serve\]'"):
            report(layered_run, tmp_path / "report.html")
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(ImportError, match=r"plotly is required: pip install 'holter\[serve\]'"):
        report(layered_run, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()
