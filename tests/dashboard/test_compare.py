"""Comparisons: the table of `holter.analysis.compare`, with a column for each group."""

import csv
import io
import re
import statistics

import pytest

import holter
from holter import analysis

COMPARE = "/api/v1/compare"


def compare(client, **content) -> dict:
    response = client.post(COMPARE, json=content)
    assert response.status_code == 200, response.text
    return response.json()


def groups(**runs: list[str]) -> list[dict]:
    return [{"label": label, "runs": ids} for label, ids in runs.items()]


def row(found: dict, label: str) -> dict:
    return next(row for row in found["rows"] if row["label"] == label)


def test_comparison_matches_the_analysis(client, sample_root):
    found = compare(client, groups=groups(one=["run-1"], other=["run-2"]), at=[100, 200], metrics=["lr"])
    runs = [holter.open_run(sample_root / name) for name in ("run-1", "run-2")]
    expected = analysis.compare(runs, at=[100, 200], metrics=["lr"])
    assert found["rows"] == expected.to_dict()["rows"]
    assert found["notes"] == expected.notes
    assert found["runs"] == ["one", "other"]
    header, *rows = csv.reader(io.StringIO(found["csv"]))
    assert header[1:] == ["one", "other"]
    assert len(rows) == len(found["rows"])
    assert "| one | other |" in found["markdown"]
    assert r"\begin{tabular}" in found["latex"]


def test_settings_that_differ_are_rows(client):
    found = compare(client, groups=groups(one=["run-1"], other=["run-2"]))
    assert [cell["text"] for cell in row(found, "config: data")["cells"]] == ["prose", "code"]


def test_group_of_runs_is_one_column_with_its_mean(client):
    single = compare(client, groups=groups(one=["run-1"], other=["run-2"]), at=[199])
    both = compare(client, groups=groups(both=["run-1", "run-2"], one=["run-1"]), at=[199])
    assert both["runs"] == ["both", "one"]
    label = next(row["label"] for row in single["rows"] if "199" in row["label"])
    values = [cell["value"] for cell in row(single, label)["cells"]]
    cell = row(both, label)["cells"][0]
    assert cell["value"] == pytest.approx(statistics.fmean(values))
    assert re.fullmatch(r"[0-9.]+ ± [0-9.]+", cell["text"])
    assert any(note.startswith("both: mean ± population standard deviation of 2 runs (") for note in both["notes"])
    lower = 0 if cell["value"] < values[0] else 1
    assert row(both, label)["best"] == [lower]
    assert {cell["text"] for cell in row(both, "config: data")["cells"]} == {"prose, code", "prose"}
    assert row(both, "config: seed")["cells"][0]["text"] == "0, 1"


def test_repeated_labels_are_numbered(client):
    found = client.post(
        COMPARE, json={"groups": [{"label": "seed", "runs": [run]} for run in ("run-1", "run-2")]}
    ).json()
    assert found["runs"] == ["seed", "seed (2)"]


def test_unknown_run_is_not_found(client):
    assert client.post(COMPARE, json={"groups": groups(one=["nowhere"])}).status_code == 404
