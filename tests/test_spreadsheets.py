"""Names of runs, metrics and settings in an exported CSV do not run as formulas in a spreadsheet."""

import csv
import io
import re

import click.testing
import pytest

import holter
from holter.cli import main

STARTS = ["=", "+", "-", "@", "\t", "\r"]
NAMES = [f"{start}HYPERLINK(A{number})" for number, start in enumerate(STARTS)] + ["a\r=HYPERLINK(A6)"]
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?([eE][+-]?\d+)?|inf|nan)( @ [\d.]+[KM]?)?")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs whose folders, names, settings and metrics all start like formulas."""
    root = tmp_path_factory.mktemp("formulas")
    for number, name in enumerate(NAMES):
        with holter.Logger(root / name, name=name, config={name: name, "n": number}, journal_points=1 << 10) as logger:
            for metric in (*NAMES, "val/loss"):
                logger.log_many(10, {metric: -1.5})
    return root


def command(runs, *arguments):
    done = click.testing.CliRunner().invoke(main, [*arguments], prog_name="holter", env={"HOLTER_DIR": str(runs)})
    assert done.exit_code == 0, done.output
    return done.stdout


def assert_safe(text: str) -> None:
    cells = [cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row]
    assert any("HYPERLINK" in cell for cell in cells)
    assert [cell for cell in cells if cell.startswith(tuple(STARTS)) and not NUMBER.fullmatch(cell)] == []


def test_exported_points_contain_no_formulas(runs, tmp_path):
    target = tmp_path / "points.csv"
    command(runs, "export", *(str(runs / name) for name in NAMES), "-o", str(target))
    text = target.read_bytes().decode()
    assert_safe(text)
    found = {row["name"] for row in csv.DictReader(io.StringIO(text, newline=""))}
    assert found == {*(f"'{name}" for name in NAMES[:-1]), NAMES[-1], "val/loss"}


def test_a_comparison_contains_no_formulas(runs):
    assert_safe(command(runs, "compare", *(str(runs / name) for name in NAMES), "--format", "csv"))


def test_downloads_of_the_dashboard_contain_no_formulas(runs):
    pytest.importorskip("starlette", reason="the dashboard needs starlette")
    from starlette.testclient import TestClient

    from holter.dashboard import make_app

    with TestClient(make_app(runs), "http://127.0.0.1:6116") as client:
        ids = [run["id"] for run in client.get("/api/v1/runs").json()["runs"]]
        assert len(ids) == len(NAMES)
        assert_safe(client.get("/api/v1/export.csv", params={"run": ids, "name": NAMES}).text)
        groups = [{"label": name, "runs": [name_id]} for name, name_id in zip(NAMES, ids, strict=True)]
        response = client.post("/api/v1/compare", json={"groups": groups, "metrics": NAMES})
        assert_safe(response.json()["csv"])
