"""Metric names, independent of how the model names its layers and of wrappers around it."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from holter.torch import watch  # noqa: E402
from holter.torch._names import clean_path, labels, layer_number, matches, selected  # noqa: E402


@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("blocks.3", 3),
        ("blocks.12.attention", 12),
        ("transformer.h.0.attn", 0),
        ("model.layers.7.self_attn.q_proj.weight", 7),
        ("encoder.layer.2.attention.self", 2),
        ("layers.4.mlp.1", 4),
        ("layer_3.attention", 3),
        ("attention.layer_3", 3),
        ("2", 2),
        ("embedding", None),
        ("block2.attention", None),
        ("", None),
    ],
)
def test_layer_numbers(path, number):
    assert layer_number(path) == number


def test_labels_are_paths_if_layer_numbers_are_not_unique():
    assert labels(["blocks.0.memory", "blocks.1.memory"]) == {
        "blocks.0.memory": "layer_0",
        "blocks.1.memory": "layer_1",
    }
    assert labels(["encoder.0", "decoder.0", "decoder.1", "head", ""]) == {
        "encoder.0": "encoder.0",
        "decoder.0": "decoder.0",
        "decoder.1": "layer_1",
        "head": "head",
        "": "model",
    }


@pytest.mark.parametrize(
    ("wrapped", "clean"),
    [
        ("_orig_mod.blocks.0.M_init", "blocks.0.M_init"),
        ("blocks.0._orig_mod.attention", "blocks.0.attention"),
        ("blocks.0._checkpoint_wrapped_module.attention._orig_mod", "blocks.0.attention"),
        ("_fsdp_wrapped_module.blocks.0", "blocks.0"),
        ("my_orig_mod.x", "my_orig_mod.x"),
        ("_orig_mod", ""),
        ("", ""),
    ],
)
def test_path_components_of_torch_wrappers_are_removed(wrapped, clean):
    assert clean_path(wrapped) == clean


def test_include_and_exclude_patterns():
    assert matches("blocks.0.M_init", "*.M_init")
    assert matches("a", ["b", "a"])
    assert not matches("blocks.0.M_init2", "*.M_init")
    assert selected("x", None, None)
    assert not selected("x", "y", None)
    assert not selected("x", "x", ["x"])


def test_data_parallel_model_keeps_its_names(recorder):
    model = nn.DataParallel(nn.Sequential(nn.Linear(2, 2)))
    with watch(model, recorder, attention=None) as handle:
        model.module(torch.ones(1, 2)).sum().backward()
        handle.commit()
    assert recorder.names("grad_norm/") == ["grad_norm/0.bias", "grad_norm/0.weight"]
