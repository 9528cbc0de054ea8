"""Families are recognized by name, wherever the layer number is."""

import random
import time

import hypothesis
import hypothesis.strategies as st
import pytest

import holter
from holter import analysis


def numbered(template, numbers=range(12)):
    return [template.format(number) for number in numbers]


@pytest.mark.parametrize(
    ("template", "pattern", "label"),
    [
        ("attention_entropy/layer_{}", "attention_entropy/layer_*", "attention_entropy"),
        ("layer_{}/memory_rank", "layer_*/memory_rank", "memory_rank"),
        ("Layer{}/memory_rank", "Layer*/memory_rank", "memory_rank"),
        (
            "grad_norm/blocks.{}.attention.q.weight",
            "grad_norm/blocks.*.attention.q.weight",
            "grad_norm/attention.q.weight",
        ),
        (
            "grad_norm/transformer.h.{}.mlp.0.bias",
            "grad_norm/transformer.h.*.mlp.0.bias",
            "grad_norm/transformer.mlp.0.bias",
        ),
        (
            "model.layers.{}.self_attn.q_proj.weight",
            "model.layers.*.self_attn.q_proj.weight",
            "model.self_attn.q_proj.weight",
        ),
        ("bert.encoder.layer.{}.output", "bert.encoder.layer.*.output", "bert.encoder.output"),
        ("layer_{}_entropy", "layer_*_entropy", "entropy"),
        ("gpu_memory/rank_{}", "gpu_memory/rank_*", "gpu_memory"),
        ("encoder.{}.weight", "encoder.*.weight", "encoder.*.weight"),
        ("level_gnorms/{}", "level_gnorms/*", "level_gnorms/*"),
        ("features.{}.1.weight", "features.*.1.weight", "features.*.1.weight"),
        ("odd[a]?*/layer_{}", "odd[[]a][?][*]/layer_*", "odd[a]?*"),
    ],
)
def test_layer_number_is_found_anywhere(template, pattern, label):
    names = numbered(template)
    shuffled = random.Random(1).sample([*names, "train/loss", "val/ppl"], 14)
    assert analysis.families(shuffled) == [analysis.Family(pattern, label, tuple(names))]


def test_heads_of_layers_are_one_family():
    names = [f"attention_entropy/layer_{i}/head_{j}" for i in range(3) for j in range(11)]
    (family,) = analysis.families(reversed(names))
    assert family == analysis.Family("attention_entropy/layer_*/head_*", "attention_entropy", tuple(names))


@pytest.mark.parametrize(
    "names",
    [
        ["train/loss", "val/loss"],
        ["attention_entropy/layer_0"],
        ["attention_entropy/layer_0", "attention_sparsity/layer_0"],
        ["loss_avg_10", "loss_avg_100", "acc1", "acc5", "m3_alpha", "top1_share", "top5_share"],
        ["quantile/0.25", "quantile/0.5", "quantile/1.5"],
        ["player_1", "player_2", "xh1", "xh2", "sublayer3", "sublayer4"],
        ["", "/", ".", "layer_", "layer_x"],
        ["a/layer_1", "a/layer_1"],
    ],
)
def test_names_without_layer_numbers_are_not_families(names):
    assert analysis.families(names) == []


def test_labels_are_unique():
    names = numbered("entropy/layer_{}") + numbered("layers.{}/entropy") + numbered("memory/layer_{}")
    assert [family.label for family in analysis.families(names)] == ["entropy/layer_*", "layers.*/entropy", "memory"]


def test_families_are_in_natural_order():
    names = [f"grad_norm/blocks.{i}.mlp.{j}.weight" for i in range(2) for j in (0, 2, 10)]
    patterns = [family.pattern for family in analysis.families(names)]
    assert patterns == [f"grad_norm/blocks.*.mlp.{j}.weight" for j in (0, 2, 10)]


def test_natural_order():
    ordered = ["", "a", "layer_2", "layer_9/x2", "layer_9/x10", "layer_010", "layer_10", "layer_10a", "layer_100"]
    assert sorted(random.Random(0).sample(ordered, len(ordered)), key=analysis.natural_key) == ordered
    numbers = numbered("layer_{}", range(200))
    assert sorted(random.Random(0).sample(numbers, 200), key=analysis.natural_key) == numbers


@hypothesis.given(st.lists(st.text(alphabet="a0123./_²٣", max_size=8)))
def test_natural_order_is_total(names):
    keys = [analysis.natural_key(name) for name in names]
    assert sorted(keys) == sorted(keys, reverse=True)[::-1]
    assert len(set(keys)) == len(set(names))


def test_pattern_selects_family_in_run(run_dir):
    names = numbered("odd[a]?*/layer_{}", range(3)) + numbered("layer_{}/x", range(3))
    with holter.Logger(run_dir, sinks=("sqlite",)) as logger:
        logger.log_many(0, dict.fromkeys(["odda/layer_1", *names], 1.0))
    run = holter.open_run(run_dir)
    for family in analysis.families(run.names()):
        assert set(run.names(family.pattern)) == set(family.names)


@pytest.mark.parametrize("piece", ["a", "1", "layer_", "1.", "layer1", "h.", "1.1/", "\0", "layer_1/"])
def test_long_names_take_linear_time(piece):
    name = piece * (100_000 // len(piece))
    start = time.process_time()
    analysis.families([name, name + "x"])
    analysis.natural_key(name)
    assert time.process_time() - start < 2  # 0.05 s; minutes with backtracking
