"""The comparison table of recorded runs: values, notes on missing values, and escaping in every format."""

import csv
import io
import json
import math
import sys

import numpy as np
import pytest

import holter
import training_noise
from holter import analysis


def record(path, series, *, name=None, config=None):
    """Record a run from series: name -> (steps, values)."""
    with holter.Logger(path, name=name, config=config, sinks=("sqlite",)) as logger:
        for metric, (steps, values) in series.items():
            for step, value in zip(steps, np.broadcast_to(values, len(steps)).tolist(), strict=True):
                logger.log(int(step), metric, value)
    return holter.open_run(path)


def training(seed, *, drop, last_step=10_000):
    """A loss that decays and falls again at step 3500, and six matrices with shrinking rank."""
    steps = np.arange(0, last_step + 1, 10)
    loss = 4 + 6 * np.exp(-steps / 800) - drop / (1 + np.exp(-(steps - 3500) / 120))
    noise = 0.06 * training_noise.series("AR(0.5)", len(steps), seed)
    every = slice(None, None, 50)
    ranks = 328 - 16 * steps[every] / last_step
    return {
        "train/loss": (steps, loss + noise),
        "val/ppl": (steps[every], np.exp(loss[every] - 0.1)),
        "val/loss": (steps[every], loss[every] - 0.1),
        **{f"effective_rank/blocks.{i}.M_init": (steps[every], ranks + 10 * i - 25) for i in range(6)},
    }


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    first = record(root / "run-1", training(0, drop=0.3), config={"lr": 1e-3, "model": {"width": 576, "depth": 6}})
    second = record(
        root / "run-2",
        training(1, drop=0.4, last_step=9950),
        config={"lr": 3e-4, "model": {"width": 576}, "note": "=1+1|x"},
    )
    return [first, second]


@pytest.fixture(scope="module")
def table(runs):
    return analysis.compare(runs, at=[5000, 10_000], targets={"val/ppl": 50, "val_loss": 0.5})


def row(comparison, label):
    (found,) = [row for row in comparison.rows if row.label == label]
    return found


def texts(comparison, label):
    return [cell.text for cell in row(comparison, label).cells]


def test_columns_and_order_of_rows(table):
    assert table.runs == ["run-1", "run-2"]
    assert [row.label for row in table.rows] == [
        "Val PPL @ 5K",
        "Val PPL @ 10K",
        "Best Val PPL",
        "Final Val PPL",
        "val/ppl ≤ 50",
        "val_loss ≤ 0.5",
        "Phase transition step",
        "Effective rank trend",
        "Train > Val loss",
        "Diverges from run-1",
        "config: lr",
        "config: model.depth",
        "config: note",
    ]
    assert table.notes == []


def test_perplexity_at_steps_with_note(runs, table):
    found = row(table, "Val PPL @ 5K")
    for run, cell in zip(runs, found.cells, strict=True):
        series = run.series("val/ppl")
        assert cell.value == series.values[series.steps.tolist().index(5000)]
        assert cell.text == f"{cell.value:.4g}"
        assert cell.note == ""
    assert found.best == [int(found.cells[1].value < found.cells[0].value)]
    assert row(table, "Val PPL @ 10K").cells[1].note == "nearest point: step 9500"


def test_best_and_final_have_their_step(runs, table):
    for run, best, final in zip(runs, row(table, "Best Val PPL").cells, row(table, "Final Val PPL").cells, strict=True):
        series = run.series("val/ppl")
        place = int(np.argmin(series.values))
        assert best.value == series.values[place]
        assert best.text == f"{best.value:.4g} @ {series.steps[place]}"
        assert final.text == f"{series.values[-1]:.4g} @ {series.steps[-1]}"


def test_phase_transition_is_where_loss_falls(table):
    for cell in row(table, "Phase transition step").cells:
        assert 3300 <= cell.value <= 3700
        assert cell.text == str(int(cell.value))
        assert "train/loss" in cell.note
        assert "confidence" in cell.note


def test_trend_of_effective_rank(table):
    assert texts(table, "Effective rank trend") == ["328 → 312", "328 → 313"]
    assert row(table, "Effective rank trend").cells[0].note == "mean of 6 series"


def test_train_above_validation(table):
    for cell in row(table, "Train > Val loss").cells:
        assert cell.value > 0.9
        assert cell.text == f"yes ({cell.value:.0%})"


def test_runs_diverge_when_one_falls_deeper(table):
    baseline, other = row(table, "Diverges from run-1").cells
    assert (baseline.text, baseline.note) == ("–", "baseline")
    assert 3200 <= other.value <= 4200


def test_targets_have_step_or_best_value(runs, table):
    for run, cell in zip(runs, row(table, "val/ppl ≤ 50").cells, strict=True):
        series = run.series("val/ppl")
        assert cell.value == series.steps[np.argmax(series.values <= 50)]
    missed = row(table, "val_loss ≤ 0.5").cells[0]
    assert (missed.text, missed.value) == ("–", None)
    assert missed.note.startswith("not reached; best 3.")


def test_only_differing_settings_have_rows(table):
    assert texts(table, "config: lr") == ["0.001", "0.0003"]
    assert texts(table, "config: model.depth") == ["6", "–"]
    assert row(table, "config: model.depth").cells[1].note == "not in its config"


@pytest.mark.parametrize(
    "name", ["val/ppl", "val_ppl", "validation/perplexity", "eval/ppl", "Eval.Perplexity", "ppl/val", "valid-ppl"]
)
def test_validation_perplexity_is_recognized_by_name(tmp_path, name):
    run = record(tmp_path / "run", {name: ([0, 10], [9.0, 7.0]), "other": ([0], [1.0])})
    assert texts(analysis.compare([run], at=[10]), "Val PPL @ 10") == ["7"]


def test_loss_is_converted_only_next_to_perplexity(tmp_path):
    loss = record(tmp_path / "a", {"eval_loss": ([0, 10], [3.0, 2.0])})
    perplexity = record(tmp_path / "b", {"val/ppl": ([0, 10], [20.0, 8.0])})
    both = analysis.compare([loss, perplexity], at=[10])
    assert [cell.value for cell in row(both, "Val PPL @ 10").cells] == [pytest.approx(math.exp(2)), 8.0]
    assert row(both, "Val PPL @ 10").cells[0].note == "exp of eval_loss"
    assert texts(analysis.compare([loss], at=[10]), "Val loss @ 10") == ["2"]


def test_step_far_from_any_point_is_absent(tmp_path):
    run = record(tmp_path / "run", {"val/ppl": (range(0, 1001, 100), 5.0)})
    found = analysis.compare([run], at=[1099, 5000, 40])
    assert row(found, "Val PPL @ 1099").cells[0].note == "nearest point: step 1000"
    assert row(found, "Val PPL @ 5K").cells[0] == analysis.Cell(
        "–", None, "no point near step 5000; the run has steps 0 to 1000"
    )
    assert row(found, "Val PPL @ 40").cells[0].note == "nearest point: step 0"


def test_nonfinite_values_are_shown_but_never_best(tmp_path):
    nan = record(tmp_path / "nan", {"val/ppl": ([0, 10], [5.0, math.nan])})
    inf = record(tmp_path / "inf", {"val/ppl": ([0, 10], [math.inf, math.inf])})
    fine = record(tmp_path / "fine", {"val/ppl": ([0, 10], [5.0, 4.0])})
    found = analysis.compare([nan, inf, fine], at=[10])
    assert texts(found, "Val PPL @ 10") == ["nan", "inf", "4"]
    assert row(found, "Val PPL @ 10").best == [2]
    assert row(found, "Best Val PPL").cells[1].note == "no value is finite"
    assert texts(found, "Final Val PPL") == ["nan @ 10", "inf @ 10", "4 @ 10"]
    decoded = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert [cell["value"] for cell in decoded["rows"][0]["cells"]] == ["nan", "inf", 4.0]


def test_unknown_metrics_have_notes(tmp_path):
    empty = record(tmp_path / "empty", {})
    other = record(tmp_path / "other", {"entropy": ([0], [1.0])})
    found = analysis.compare([empty, other], at=[10], metrics=["entropi"])
    assert "no run has a series that is a validation perplexity or loss by its name" in found.notes
    assert "no run has a series 'entropi'; did you mean 'entropy'?" in found.notes
    assert texts(found, "entropi") == ["–", "–"]
    assert len(found.rows) == 1


def test_direction_of_metrics_follows_their_names(tmp_path):
    a = record(tmp_path / "a", {"val/accuracy": ([0, 5], [0.1, 0.6]), "lr": ([0, 5], [1.0, 0.5])})
    b = record(tmp_path / "b", {"val/accuracy": ([0, 5], [0.9, 0.5])})
    found = analysis.compare([a, b], at=[5], metrics=["val_accuracy", "lr"], targets={"val/accuracy": 0.7})
    assert row(found, "val_accuracy @ 5").better == "higher"
    assert row(found, "Best val_accuracy").best == [1]
    assert (row(found, "lr @ 5").better, row(found, "lr @ 5").best) == (None, [])
    assert row(found, "lr @ 5").cells[1].note == "no series 'lr'"
    assert texts(found, "val/accuracy ≥ 0.7") == ["–", "0"]


def test_equal_values_are_not_best(tmp_path):
    same = [record(tmp_path / name, {"val/ppl": ([0], [5.0])}) for name in ("a", "b")]
    assert row(analysis.compare(same), "Final Val PPL").best == []


def test_runs_with_same_name_have_unique_labels(tmp_path):
    points = {"val/ppl": ([0], [5.0])}
    paths = ["x/seed-1", "x/seed-2", "y/seed-1", "other"]
    runs = [record(tmp_path / path, points, name="base" if path != "other" else "other") for path in paths]
    labels = analysis.compare(runs).runs
    assert labels == ["base (x/seed-1)", "base (seed-2)", "base (y/seed-1)", "other"]
    same = analysis.compare([runs[0], runs[0], runs[3]]).runs
    assert same == ["base (x/seed-1)", "base (x/seed-1) (2)", "other"]


def test_groups_are_mean_and_standard_deviation(tmp_path):
    values = [10.0, 12.0, 17.0]
    runs = [
        record(tmp_path / f"{i}", {"val/ppl": ([0, 10], [20.0, v])}, config={"seed": i, "lr": 1e-3})
        for i, v in enumerate(values)
    ]
    alone = record(tmp_path / "alone", {"val/ppl": ([0, 10], [20.0, 11.0])}, config={"seed": 0, "lr": 1e-2})
    found = analysis.compare({"seeds": runs, "other": [alone]}, at=[10])
    assert found.runs == ["seeds", "other"]
    first, second = row(found, "Val PPL @ 10").cells
    assert first.value == pytest.approx(13.0)
    assert first.text == f"13 ± {np.std(values):.2g}"
    assert first.note == "3 runs"
    assert second.text == "11"
    assert row(found, "Val PPL @ 10").best == [1]
    assert texts(found, "config: seed") == ["0, 1, 2", "0"]
    assert texts(found, "config: lr") == ["0.001", "0.01"]
    with pytest.raises(ValueError, match="at least one run in each group"):
        analysis.compare({"seeds": []})


HOSTILE = [
    "a|b",
    "*x*",
    "<script>alert(1)</script>",
    "$\\input{x}$ & 50% #1_a^2~",
    'q"u,o',
    "=cmd()",
    "-1+1",
    "@x",
    "+x",
]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    root = tmp_path_factory.mktemp("hostile")
    runs = []
    for i, text in enumerate(HOSTILE):
        config = {f"k{text}": f"{text}\n| new |\r\n\x1b[31m\tred"}
        runs.append(record(root / str(i), {"val/ppl": ([0], [float(i)])}, name=text, config=config))
    return analysis.compare(runs, targets={"val/ppl": -1e-9})


def test_markdown_cells_are_escaped(hostile):
    lines = hostile.to_markdown().splitlines()
    assert len(lines) == len(hostile.rows) + 2
    for line in lines:
        bare = line.replace("\\\\", "").replace("\\|", "")
        assert bare.count("|") == len(HOSTILE) + 2
        assert "<script>" not in bare
        assert line.isprintable()


def test_latex_cells_are_escaped(hostile):
    lines = hostile.to_latex().splitlines()
    body = lines[2:3] + lines[4:-2]
    assert len(body) == len(hostile.rows) + 1
    for line in body:
        assert line.endswith(r" \\")
        bare = line.removesuffix(r" \\")
        assert bare.count("&") - bare.count(r"\&") == len(HOSTILE)
        assert "\\input" not in bare
        for special in "%#_":
            assert bare.count(special) == bare.count("\\" + special)
        assert line.isprintable()


def test_csv_has_no_formulas_and_reads_back(hostile):
    rows = list(csv.reader(io.StringIO(hostile.to_csv())))
    assert {len(line) for line in rows} == {len(HOSTILE) + 1}
    assert len(rows) == len(hostile.rows) + 1
    for cell in (cell for line in rows for cell in line):
        assert not cell.startswith(("=", "+", "@", "\t", "\r"))
        assert cell.isprintable()
    assert rows[0][6:] == ["'=cmd()", "'-1+1", "'@x", "'+x"]


def test_negative_number_is_not_quoted_in_csv(tmp_path):
    run = record(tmp_path / "run", {"reward": ([0], [-1.5])})
    assert "-1.5 @ 0" in analysis.compare([run], metrics=["reward"]).to_csv()
    assert "\nreward @ 0,-1.5\n" in analysis.compare([run], at=[0], metrics=["reward"]).to_csv()


def test_texts_of_table(tmp_path):
    first = record(tmp_path / "a", {"val/ppl": ([5000], [970.94])})
    second = record(tmp_path / "b", {"val/ppl": ([5000], [1827.1])})
    found = analysis.compare([first, second], at=[5000])
    assert found.to_markdown().splitlines()[:3] == [
        "| Metric | a | b |",
        "| --- | ---: | ---: |",
        "| Val PPL @ 5K | **970.9** | 1827 |",
    ]
    assert found.to_latex().splitlines()[:5] == [
        r"\begin{tabular}{lrr}",
        r"\toprule",
        r"Metric & a & b \\",
        r"\midrule",
        r"Val PPL @ 5K & \textbf{970.9} & 1827 \\",
    ]
    assert found.to_csv().splitlines()[:2] == ["Metric,a,b", "Val PPL @ 5K,970.9,1827"]
    assert found.to_dict()["rows"][0] == {
        "label": "Val PPL @ 5K",
        "cells": [{"text": "970.9", "value": 970.94, "note": ""}, {"text": "1827", "value": 1827.1, "note": ""}],
        "better": "lower",
        "best": [0],
        "help": "The value at step 5000 or the nearest step.",
    }


def test_missing_ruptures_omits_phase_transition_only(runs, monkeypatch):
    monkeypatch.setitem(sys.modules, "ruptures", None)
    found = analysis.compare(runs)
    assert "Phase transition step" not in [row.label for row in found.rows]
    assert "Effective rank trend" in [row.label for row in found.rows]
    assert found.notes == [
        "the phase transition was not computed: change points need ruptures: pip install 'holter[analysis]'"
    ]


def test_compare_without_runs_raises():
    with pytest.raises(ValueError, match="at least one run"):
        analysis.compare([])
