"""FlexAttention with functions of scores and positions, against weights materialized in float64."""

import math
import sys
import types

import pytest

torch = pytest.importorskip("torch")
flex = pytest.importorskip("torch.nn.attention.flex_attention", reason="this torch has no FlexAttention")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

import holter.torch  # noqa: E402
from attention_reference import attention_scores, attention_weights, entropy_and_sparsity  # noqa: E402
from holter.torch import Attention, watch  # noqa: E402

# FlexAttention without torch.compile warns that it is slow. It is not run compiled for a CPU, because torch's kernel
# writes out of bounds for these small shapes.
pytestmark = pytest.mark.filterwarnings("ignore")

TOKENS = 32
DOCUMENT = torch.arange(TOKENS) // 10


def near(batch, head, row, column):
    return (column <= row) & (row - column < 9)


def same_document(batch, head, row, column):
    return (DOCUMENT[row] == DOCUMENT[column]) & (column <= row)


class Biased:
    """A score function that indexes a tensor, one index at a time."""

    def __init__(self):
        self.bias = torch.randn(2, 4, TOKENS, TOKENS)

    def __call__(self, score, batch, head, row, column):
        return 3.0 * torch.tanh(score / 3.0) + self.bias[0][head][row, column] + 0.1 * (row - column)


def reference(query, key, *, visible=None, biased=None):
    scores, places = attention_scores(query, key), torch.arange(TOKENS)
    if biased is not None:
        scores = 3.0 * torch.tanh(scores / 3.0) + biased.bias[0] + 0.1 * (places[:, None] - places)
    if visible is not None:
        scores = scores.masked_fill(~visible(None, None, places[:, None], places), -math.inf)
    return entropy_and_sparsity(attention_weights(scores))


@pytest.fixture(params=["by module", "by name", "compiled", "reported"])
def program(request, monkeypatch):
    """A user's module that imports the function in one of several ways."""
    file = types.ModuleType("a_users_layers")
    file.flex_attention = flex.flex_attention
    if request.param == "compiled":
        file.flex_attention = torch.compile(flex.flex_attention, backend="eager")
    monkeypatch.setitem(sys.modules, "a_users_layers", file)

    class FlexAttention(nn.Module):
        def forward(self, query, key, visible, biased):
            mask = None if visible is None else flex.create_block_mask(visible, None, None, TOKENS, TOKENS, "cpu")
            if request.param == "reported":
                holter.torch.attention(self, query, key, mask=mask, score_mod=biased)
                return key
            function = flex.flex_attention if request.param == "by module" else file.flex_attention
            return function(query, key, key, biased, mask, enable_gqa=True)

    return file, FlexAttention


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("biased", [None, Biased()])
@pytest.mark.parametrize("visible", [None, near, same_document])
def test_flex_attention_matches_definition(recorder, program, visible, biased, exact):
    file, attention = program
    before = (flex.flex_attention, file.flex_attention)
    model = nn.ModuleDict({"layer_0": attention()})
    query, key = torch.randn(2, 4, TOKENS, 8), torch.randn(2, 2, TOKENS, 8)
    with watch(model, recorder, attention=Attention(every=1, exact=exact)) as handle:
        model["layer_0"](query, key, visible, biased)  # it has no backward pass on a CPU
        handle.commit()
        assert handle.disabled == {}
    assert (flex.flex_attention, file.flex_attention) == before
    entropy, share = reference(query, key, visible=visible, biased=biased)
    assert recorder["attention_entropy/layer_0"] == {0: pytest.approx(entropy, abs=1e-5)}
    assert recorder["attention_sparsity/layer_0"] == {0: pytest.approx(share, abs=1e-9)}


def test_function_imported_by_name_before_the_watch_is_observed(recorder, monkeypatch):
    file = types.ModuleType("a_users_layers")
    file.scaled_dot_product_attention = original = F.scaled_dot_product_attention
    monkeypatch.setitem(sys.modules, "a_users_layers", file)
    monkeypatch.setitem(sys.modules, "a_users_layers_again", file)

    class CustomAttention(nn.Module):
        def forward(self, x):
            return file.scaled_dot_product_attention(x, x, x)

    model = nn.Sequential(CustomAttention())
    with watch(model, recorder, attention=Attention(every=1)) as handle:
        model(torch.randn(2, 2, 8, 4))
        handle.commit()
    assert len(recorder.names("attention_entropy/")) == 1
    assert file.scaled_dot_product_attention is original
    assert F.scaled_dot_product_attention is original
