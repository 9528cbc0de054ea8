"""`holter compare`: the table of `holter.analysis.compare` for the terminal, papers and scripts."""

import csv
import io
import json
import math
import re

import pytest

import holter
from holter import analysis

AT = ("--at", "50,200")


@pytest.fixture
def comparison(runs):
    members = [holter.open_run(runs / name) for name in ("prose", "code")]
    return analysis.compare(members, at=[50, 200])


def test_the_table_has_all_rows_of_the_comparison(comparison, invoke):
    result = invoke("compare", "prose", "code", *AT)
    assert result.status == 0, result
    lines = result.stdout.splitlines()
    assert re.split(r"  +", lines[0].strip()) == ["metric", "prose", "code"]
    for line, row in zip(lines[1:], comparison.rows, strict=False):
        assert line.startswith(row.label)
        fields = [field.removesuffix(" *") for field in re.split(r"  +", line.removeprefix(row.label).strip())]
        assert fields == [cell.text or "-" for cell in row.cells]
    assert any("@" in row.label for row in comparison.rows)
    for note in comparison.notes:
        assert note in result.stdout


def test_best_cells_of_a_row_are_marked(comparison, invoke):
    output = invoke("compare", "prose", "code", *AT).stdout
    marked = [row for row in comparison.rows if row.best]
    assert marked
    for row in marked:
        (line,) = (line for line in output.splitlines() if line.startswith(f"{row.label} "))
        assert line.count(" *") == len(row.best)


def test_a_step_without_a_point_is_noted(runs, invoke):
    """Catches a value of another step shown without a note."""
    output = invoke("compare", "prose", "code", "--at", "60").stdout
    assert re.search(r"step 50\b", output)


@pytest.mark.parametrize("kind", ["markdown", "latex", "csv"])
def test_formats_match_the_comparison(kind, comparison, invoke):
    result = invoke("compare", "prose", "code", *AT, "--format", kind)
    assert result.status == 0
    assert result.stdout.splitlines() == getattr(comparison, f"to_{kind}")().splitlines()
    if kind == "csv":
        rows = list(csv.reader(io.StringIO(result.stdout)))
        assert {len(row) for row in rows} == {len(rows[0])}


@pytest.mark.parametrize("option", [("--json",), ("--format", "json")])
def test_json_matches_the_comparison(option, comparison, invoke):
    document = json.loads(invoke("compare", "prose", "code", *AT, *option).stdout, parse_constant=pytest.fail)
    assert document == json.loads(json.dumps(comparison.to_dict()))
    assert document["runs"] == ["prose", "code"]


def test_metrics_and_targets_are_rows(runs, invoke):
    output = invoke("compare", "prose", "code", "--metric", "grad_norm_total", "--target", "val/ppl=20").stdout
    assert "grad_norm_total" in output
    assert re.search(r"val/ppl.*20", output)


def test_differing_settings_are_rows(runs, invoke):
    output = invoke("compare", "prose", "code").stdout
    assert re.search(r"^config: lr +0\.0003 +0\.0006$", output, re.MULTILINE)
    assert "model.layers" not in output, "equal settings are omitted"


def test_a_metric_that_no_run_has_is_reported(runs, invoke):
    result = invoke("compare", "prose", "code", "--metric", "zzz")
    assert result.status in (0, 1)
    assert "zzz" in result.stdout + result.stderr
    assert "Traceback" not in result.stderr


def test_runs_without_common_series_can_be_compared(runs, invoke):
    with holter.Logger(runs / "other", journal_points=1 << 10) as logger:
        logger.log(0, "x", math.nan)
    result = invoke("compare", "prose", "other", *AT)
    assert result.status == 0, result


def test_hostile_names_are_escaped(runs, invoke):
    with holter.Logger(runs / "bad", name="\x1b[31mred", config={"\x1b[2J": 1}, journal_points=1 << 10) as logger:
        logger.log(0, "val/ppl", 1.0)
    for kind in ("table", "markdown", "latex", "csv", "json"):
        result = invoke("compare", "prose", "runs/bad", "--format", kind)
        assert result.status == 0
        assert "\x1b" not in result.stdout


def test_best_cells_are_green_on_a_terminal(runs, terminal):
    session = terminal("compare", "prose", "code", *AT)
    session.finish()
    assert session.process.returncode == 0, session.text
    assert re.search(r"\x1b\[1;32m", session.text)
    assert " *" not in session.plain
