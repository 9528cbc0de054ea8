"""Compare: what `holter.analysis.compare` says, with a column for each group."""

import csv
import io
import math
import statistics

import pytest

import holter
from holter import analysis
from holter.analysis import Cell, Row
from holter.dashboard import _compare

COMPARE = "/api/v1/compare"


def compare(client, **content) -> dict:
    answer = client.post(COMPARE, json=content)
    assert answer.status_code == 200, answer.text
    return answer.json()


def groups(**runs: list[str]) -> list[dict]:
    return [{"label": label, "runs": ids} for label, ids in runs.items()]


def row(found: dict, label: str) -> dict:
    return next(row for row in found["rows"] if row["label"] == label)


def test_runs_stand_side_by_side_as_the_analysis_says(client, sample_root):
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


def test_the_settings_that_differ_are_rows(client):
    found = compare(client, groups=groups(one=["run-1"], other=["run-2"]))
    assert [cell["text"] for cell in row(found, "config: data")["cells"]] == ["prose", "code"]


def test_a_group_of_runs_is_one_column_with_its_mean(client):
    single = compare(client, groups=groups(one=["run-1"], other=["run-2"]), at=[199])
    both = compare(client, groups=groups(both=["run-1", "run-2"], one=["run-1"]), at=[199])
    assert both["runs"] == ["both", "one"]
    label = next(row["label"] for row in single["rows"] if "199" in row["label"])
    values = [cell["value"] for cell in row(single, label)["cells"]]
    cell = row(both, label)["cells"][0]
    assert cell["value"] == pytest.approx(statistics.fmean(values))
    assert cell["text"] == f"{statistics.fmean(values):.4g} ± {statistics.pstdev(values):.2g}"
    assert any(note.startswith("both: mean ± standard deviation of 2 runs (") for note in both["notes"])
    lower = 0 if cell["value"] < values[0] else 1
    assert row(both, label)["best"] == [lower]
    assert {cell["text"] for cell in row(both, "config: data")["cells"]} == {"prose, code", "prose"}
    assert row(both, "config: seed")["cells"][0]["text"] == "0, 1"


def test_two_groups_may_have_one_label(client):
    found = client.post(
        COMPARE, json={"groups": [{"label": "seed", "runs": [run]} for run in ("run-1", "run-2")]}
    ).json()
    assert found["runs"] == ["seed", "seed (2)"]


def test_a_run_that_was_never_there_is_not_found(client):
    assert client.post(COMPARE, json={"groups": groups(one=["nowhere"])}).status_code == 404


@pytest.mark.parametrize(
    ("cells", "text", "value"),
    [
        ([Cell("1", 1.0), Cell("3", 3.0)], "2 ± 1", 2.0),
        ([Cell("1,000", 1000.0), Cell("3,000", 3000.0)], "2000 ± 1e+03", 2000.0),
        ([Cell("1", 1.0), Cell("–")], "1", 1.0),
        ([Cell("–", None, "no series"), Cell("–")], "–", None),
        ([Cell("328 → 312", -16.0), Cell("300 → 290", -10.0)], "328 → 312, 300 → 290", None),
        ([Cell("3.5 @ 400", 3.5), Cell("4.5 @ 380", 4.5)], "4 ± 0.5", 4.0),
        ([Cell("adam"), Cell("adam")], "adam", None),
        ([Cell(word) for word in "abcdef"], "a, b, c, d, …", None),
        ([Cell("nan", math.nan), Cell("1", 1.0)], "nan, 1", None),
    ],
)
def test_what_a_group_has_in_a_row(cells, text, value):
    grouped = _compare._grouped_row(
        Row("x", [*cells, Cell("2", 2.0)], "lower", [], ""), [slice(0, -1), slice(-1, None)]
    )
    assert (grouped.cells[0].text, grouped.cells[0].value) == (text, value)
    assert grouped.cells[1] == Cell("2", 2.0)


def test_what_is_best_is_found_anew_among_groups():
    cells = [Cell("1", 1.0), Cell("9", 9.0), Cell("4", 4.0)]
    spans = [slice(0, 2), slice(2, 3)]
    for better, best in (("lower", [1]), ("higher", [0]), (None, [])):
        assert _compare._grouped_row(Row("x", cells, better, [0], ""), spans).best == best
