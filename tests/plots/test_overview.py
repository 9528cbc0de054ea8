"""The overview finds the usual metrics under any of their names and is never empty."""

import numpy as np
import pytest

from holter.analysis.naming import LOSS, PERPLEXITY, Meaning, meaning, names_for_metric
from holter.plots import build_chart, overview_charts

SOME = (np.arange(5), np.ones(5))


@pytest.mark.parametrize(
    ("name", "split", "metric"),
    [
        ("train/loss", "train", "loss"),
        ("train_loss", "train", "loss"),
        ("loss/train", "train", "loss"),
        ("Loss", "", "loss"),
        ("eval/loss", "val", "loss"),
        ("validation/perplexity", "val", "perplexity"),
        ("val_ppl", "val", "ppl"),
        ("test.loss", "test", "loss"),
        ("training/grad-norm", "train", "grad_norm"),
        ("trainable_parameters", "", "trainable_parameters"),
        ("", "", ""),
        ("train/" + "x" * 100_000, "train", "x" * 194),
    ],
)
def test_name_is_parsed_into_split_and_metric(name, split, metric):
    assert meaning(name) == Meaning(split, metric)


def test_training_split_comes_first_and_marks_are_ignored():
    assert names_for_metric(["val/loss", "loss", "mark/loss", "train/loss", "ppl"], LOSS) == [
        "train/loss",
        "loss",
        "val/loss",
    ]
    assert names_for_metric(["perplexity", "val/ppl"], PERPLEXITY) == ["val/ppl"]


def test_default_charts_of_training(layered_run):
    charts = {chart["key"]: chart for chart in overview_charts([layered_run])}
    assert list(charts) == [
        "loss",
        "perplexity",
        "gradient-norm",
        "speed",
        "family:attention_entropy/layer_*",
        "learning-rate",
    ]
    assert charts["loss"]["names"] == ["train/loss", "val/loss"]
    assert charts["family:attention_entropy/layer_*"]["kind"] == "band"
    assert charts["learning-rate"]["names"] == ["train/learning_rate"]


def test_every_request_can_be_built(layered_run, record):
    other = record("other", {"train/loss": SOME, "attention_entropy/layer_0": SOME})
    for runs in ([layered_run], [layered_run, other]):
        for request in overview_charts(runs):
            chart = build_chart(request, runs, colors=[5, 6][: len(runs)])
            assert chart.title == request["title"]
            assert chart.lines
    for kind in ("heatmap", "latest"):
        request = {**overview_charts([layered_run])[4], "kind": kind}
        assert build_chart(request, [layered_run]).kind == kind
    with pytest.raises(ValueError, match="kind must be"):
        build_chart({**request, "kind": "pie"}, [layered_run])


def test_default_charts_are_empty_only_without_points(record):
    strange = record("strange", {"zeta": SOME, "alpha": SOME, "beta": SOME, "gamma": SOME})
    charts = overview_charts([strange])
    assert [chart["names"] for chart in charts if chart["kind"] == "line"] == [["alpha"], ["beta"], ["gamma"]]
    assert overview_charts([record("empty", {})]) == []


def test_parameter_families_come_last(record):
    names = [f"grad_norm/blocks.{block}.{kind}.weight" for block in range(4) for kind in "abcdefghijkl"]
    run = record("run", dict.fromkeys([*names, "attention_entropy/layer_0", "attention_entropy/layer_1"], SOME))
    families = [chart["title"] for chart in overview_charts([run]) if chart["key"].startswith("family:")]
    assert len(families) == 6
    assert families[0] == "attention_entropy/layer_*"
