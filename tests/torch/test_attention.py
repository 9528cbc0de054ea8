"""Attention of whole models: which calls are recorded, for which layer and at which step."""

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402

import holter.torch  # noqa: E402
from attention_reference import attention_scores, attention_weights, entropy_and_sparsity  # noqa: E402
from holter.torch import Attention, watch  # noqa: E402


def reference(query, key, **options):
    """Compute entropy, sparsity and largest logit by definition."""
    scores = attention_scores(query, key, **options)
    return *entropy_and_sparsity(attention_weights(scores)), float(scores.amax())


class SelfAttention(nn.Module):
    """A typical module that calls F.scaled_dot_product_attention."""

    def __init__(self):
        super().__init__()
        self.project = nn.Linear(8, 24)
        self.references = []

    def forward(self, x):
        query, key, value = self.project(x).unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        self.references.append(reference(query, key, is_causal=True))
        return F.scaled_dot_product_attention(query, key, value, is_causal=True).transpose(1, 2).flatten(2)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = SelfAttention()
        self.rest = nn.Linear(8, 8)

    def forward(self, x):
        return x + self.rest(self.attention(x))


class Stack(nn.Module):
    def __init__(self, layers=3, checkpointing=None):
        super().__init__()
        self.blocks = nn.ModuleList(Block() for _ in range(layers))
        self.checkpointing = checkpointing

    def forward(self, x):
        for block in self.blocks:
            again = self.checkpointing is not None
            x = checkpoint(block, x, use_reentrant=self.checkpointing) if again else block(x)
        return x

    def first_references(self):
        return [block.attention.references[0] for block in self.blocks]


def settings(**changes):
    return Attention(**{"rows": 1000, "every": 1, **changes})


def expect(recorder, step, references):
    for layer, (entropy, share, largest) in enumerate(references):
        assert recorder[f"attention_entropy/layer_{layer}"][step] == pytest.approx(entropy, abs=1e-5)
        assert recorder[f"attention_sparsity/layer_{layer}"][step] == pytest.approx(share, abs=1e-7)
        assert recorder[f"attention_max_logit/layer_{layer}"][step] == pytest.approx(largest, abs=1e-5)


@pytest.mark.parametrize("how", [{}, {"exact": True}])
def test_scaled_dot_product_attention_is_recorded_per_layer(recorder, how):
    model = Stack()
    with watch(model, recorder, attention=settings(**how)) as handle:
        model(torch.randn(2, 12, 8)).sum().backward()
        handle.commit()
    expect(recorder, 0, model.first_references())
    assert recorder.names("attention_entropy/") == [f"attention_entropy/layer_{i}" for i in range(3)]


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointing_counts_each_layer_once(recorder, reentrant):
    model = Stack(checkpointing=reentrant)
    with watch(model, recorder, attention=settings()) as handle:
        model(torch.randn(2, 12, 8, requires_grad=True)).sum().backward()
        handle.commit()
    expect(recorder, 0, model.first_references())


def test_first_micro_batch_counts(recorder):
    model = Stack()
    with watch(model, recorder, attention=settings()) as handle:
        for _ in range(3):
            model(torch.randn(2, 12, 8)).sum().backward()
        handle.commit()
    expect(recorder, 0, model.first_references())


def test_evaluation_is_not_recorded(recorder):
    model = Stack()
    with watch(model, recorder, attention=settings()) as handle:
        with torch.no_grad():
            model(torch.randn(2, 12, 8))
        model.eval()
        model(torch.randn(2, 12, 8)).sum().backward()
        handle.commit()
        model.train()
        for block in model.blocks:
            block.attention.references.clear()
        model(torch.randn(2, 12, 8)).sum().backward()
        handle.commit()
    assert set(recorder["attention_entropy/layer_0"]) == {1}
    expect(recorder, 1, model.first_references())


def test_default_cadence_is_every_tenth_step(recorder):
    model = Stack(layers=1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with watch(model, recorder, optimizer):
        for _ in range(21):
            model(torch.randn(1, 12, 8)).sum().backward()
            optimizer.step()
    assert set(recorder["attention_entropy/layer_0"]) == {0, 10, 20}


def test_standard_errors_are_recorded_if_enabled(recorder):
    model = Stack(layers=1)
    with watch(model, recorder, attention=settings(rows=4, standard_error=True)) as handle:
        model(torch.randn(2, 64, 8)).sum().backward()
        handle.commit()
    assert recorder["attention_entropy_se/layer_0"][0] > 0.0
    assert recorder["attention_sparsity_se/layer_0"][0] > 0.0


def test_exclude_skips_layers(recorder):
    model = Stack()
    with watch(model, recorder, attention=settings(), exclude="blocks.1*") as handle:
        model(torch.randn(2, 12, 8)).sum().backward()
        handle.commit()
    assert recorder.names("attention_entropy/") == ["attention_entropy/layer_0", "attention_entropy/layer_2"]


def test_numbered_layers_are_used_without_attention_modules(recorder):
    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(8, 8)

        def forward(self, x):
            return self.inner(F.scaled_dot_product_attention(x, x, x))

    model = nn.Sequential(Plain(), Plain())
    with watch(model, recorder, attention=settings()) as handle:
        x = torch.randn(2, 12, 8)
        model(x).sum().backward()
        handle.commit()
    expect(recorder, 0, [reference(x[:, None], x[:, None])])
    assert recorder.names("attention_entropy/") == ["attention_entropy/layer_0", "attention_entropy/layer_1"]


@pytest.mark.parametrize("training_weights", [True, False])
def test_multihead_attention_with_and_without_weights(recorder, training_weights):
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    x = torch.randn(3, 12, 8)
    with watch(attention, recorder, attention=settings()) as handle:
        attention(x, x, x, need_weights=training_weights)[0].sum().backward()
        handle.commit()
    with torch.no_grad():
        projected = F.linear(x, attention.in_proj_weight, attention.in_proj_bias)
    query, key, _ = projected.unflatten(-1, (3, 2, 4)).unbind(-3)
    expected = reference(query.transpose(1, 2), key.transpose(1, 2))
    assert [recorder[name][0] for name in recorder.names("attention_entropy/")] == [
        pytest.approx(expected[0], abs=1e-5)
    ]


@pytest.mark.parametrize("batch_first", [True, False])
def test_transformer_encoder_with_padding_and_a_causal_mask(recorder, batch_first):
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=batch_first)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    x = torch.randn(3, 12, 8) if batch_first else torch.randn(12, 3, 8)
    hidden = torch.zeros(3, 12, dtype=torch.bool)
    hidden[1, 9:] = True
    future = torch.ones(12, 12).triu(1).bool()
    with watch(model, recorder, attention=settings()) as handle:
        model(x, mask=future, src_key_padding_mask=hidden).sum().backward()
        handle.commit()
    first = model.layers[0].self_attn
    rows = x if batch_first else x.transpose(0, 1)
    with torch.no_grad():
        projected = F.linear(rows, first.in_proj_weight, first.in_proj_bias)
    query, key, _ = projected.unflatten(-1, (3, 2, 4)).unbind(-3)
    mask = ~(hidden[:, None, None, :] | future)
    entropy, share, _ = reference(query.transpose(1, 2), key.transpose(1, 2), mask=mask)
    assert recorder["attention_entropy/layer_0"][0] == pytest.approx(entropy, abs=1e-5)
    assert recorder["attention_sparsity/layer_0"][0] == pytest.approx(share, abs=1e-7)
    assert recorder["attention_entropy/layer_1"][0] > 0.0


def test_self_and_cross_attention_of_a_layer_are_labeled_by_path(recorder):
    model = nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 16, batch_first=True), 1)
    with watch(model, recorder, attention=settings()) as handle:
        model(torch.randn(2, 5, 8), torch.randn(2, 7, 8)).sum().backward()
        handle.commit()
    assert recorder.names("attention_entropy/") == [
        "attention_entropy/layers.0.multihead_attn",
        "attention_entropy/layers.0.self_attn",
    ]


def test_custom_attention_is_recorded_if_reported(recorder):
    query, key = torch.randn(2, 4, 40, 16) * 8.0, torch.randn(2, 4, 40, 16)

    class Custom(nn.Module):
        def forward(self, x):
            holter.torch.attention(self, query, key, is_causal=True, softcap=3.0)
            return x

    model = nn.Sequential(Custom())
    model(torch.zeros(1))
    with watch(model, recorder, attention=settings()) as handle:
        model(torch.zeros(1))
        handle.commit()
    expect(recorder, 0, [reference(query, key, is_causal=True, softcap=3.0)])
    model(torch.zeros(1))


@pytest.mark.expects_warnings
def test_invalid_mask_disables_the_probe_and_not_the_forward(recorder):
    class CustomAttention(nn.Module):
        def forward(self, x):
            holter.torch.attention(self, x, x, mask=torch.zeros(7, 9))
            return x

    model = nn.Sequential(CustomAttention())
    with watch(model, recorder, attention=settings()) as handle:
        x = torch.ones(1, 1, 4, 4)
        assert model(x) is x
        handle.commit()
        assert list(handle.disabled) == ["attention of 0"]
    assert recorder.names("attention") == []


def test_invalid_settings_raise(recorder):
    for invalid in ({"rows": 0}, {"every": 0}):
        with pytest.raises(ValueError, match="must be"):
            Attention(**invalid)
    with pytest.raises(ValueError, match="attention must be"):
        watch(nn.Linear(2, 2), recorder, attention="all")
