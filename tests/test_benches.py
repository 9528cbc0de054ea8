"""Every ratio in the bench tables can be recomputed from the two figures printed next to it."""

import importlib
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BENCHES = ROOT / "benches"
SCALES = {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3}
FIGURE = r"[\d,]+(?:\.\d+)?(?: (?:ns|µs|ms|s)\b)?"
QUOTIENT = re.compile(rf"(?<![\d.,])({FIGURE}) / ({FIGURE})")


@pytest.fixture
def tables(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHES))
    return importlib.import_module("tables")


def number(figure):
    amount, _, unit = figure.partition(" ")
    return float(amount.replace(",", "")) * SCALES.get(unit, 1.0)


def stated_ratios(text):
    """Yield the table rows that state a ratio, each with the ratio as printed."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        ratios = [found[1] for cell in cells[1:] if (found := re.match(r"([\d,.]+)×", cell))]
        if cells[-1] == "×":
            ratios = [cells[1]]
        if ratios:
            yield line, ratios[-1]  # a target may stand before it


def assert_ratios_match_their_figures(text, at_least):
    checked = 0
    for line, ratio in stated_ratios(text):
        found = QUOTIENT.search(line)
        assert found, f"no figures next to the ratio: {line}"
        over, under = map(number, found.groups())
        decimals = len(ratio.partition(".")[2])
        assert number(ratio) == pytest.approx(over / under, abs=0.5000001 * 10**-decimals), line
        checked += 1
    assert checked >= at_least


def results(**figures):
    rows = [
        {"key": f"calls.{key}", "what": key, "value": value, "low": value, "high": value, "unit": "ns"}
        for key, value in figures.items()
    ]
    machine = {"cpu": "2 cores", "python": "3.11"}
    return {"calls": {"date": "2026-01-01", "processes": 1, "machine": machine, "load before": 0.0, "rows": rows}}


@pytest.mark.parametrize("log", [9.996, 43.505, 99.96, 1234.5])
def test_a_ratio_of_calls_is_the_quotient_of_the_printed_figures(tables, log):
    measured = results(empty=20.07, noop=15.323, log=log, metric=42.954)
    assert_ratios_match_their_figures(tables.full(measured), at_least=2)
    assert_ratios_match_their_figures(tables.targets(measured), at_least=2)


def test_a_ratio_is_taken_from_the_figures_as_printed(tables):
    assert tables.quotient("43.5", "15.3") == "2.84"
    assert tables.quotient("71.9 µs", "38.8 ns") == "1,853"


def test_a_target_without_its_figures_is_not_measured(tables):
    text = tables.targets(results(empty=20.07, log=43.505))
    (line,) = (line for line in text.splitlines() if line.startswith("| `logger.log`"))
    assert line.endswith("| not measured |")


def test_the_readme_has_the_targets_of_the_stored_results(tables):
    text = tables.targets(json.loads((BENCHES / "results.json").read_text("utf-8")))
    assert text in (ROOT / "README.md").read_text("utf-8")
    assert_ratios_match_their_figures(text, at_least=2)


def test_the_benches_page_has_the_stored_results(tables):
    stored = json.loads((BENCHES / "results.json").read_text("utf-8"))
    text = tables.full(stored)
    assert text in (BENCHES / "README.md").read_text("utf-8")
    assert_ratios_match_their_figures(tables.full({"calls": stored["calls"]}), at_least=2)


def test_the_comparison_page_has_the_stored_figures(tables, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHES))
    text = importlib.import_module("peers.report").full(json.loads((BENCHES / "peers.json").read_text("utf-8")))
    assert text in (BENCHES / "RESULTS.md").read_text("utf-8")
    targets = text.partition("### Targets")[2].partition("###")[0]
    assert_ratios_match_their_figures(targets, at_least=8)
