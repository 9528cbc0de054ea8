"""Attention statistics against weights materialized in float64, for every kind of mask and attention call."""

import math

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402

import holter.torch  # noqa: E402
from holter.torch import Attention, watch  # noqa: E402
from holter.torch._attention_math import (  # noqa: E402
    AttentionCall,
    exact,
    fused_entropy,
    sampled,
    stratified_rows,
    stratum_offset,
)

THRESHOLD = 0.1


def weights(call: AttentionCall):
    """Compute the full matrix of weights in float64 by definition, and the largest logit."""
    query, key = call.query.double(), call.key.double()
    key = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)
    scores = query @ key.mT * (call.scale if call.scale is not None else query.shape[-1] ** -0.5)
    if call.softcap is not None:
        scores = torch.tanh(scores / call.softcap) * call.softcap
    if call.mask is not None:
        scores = scores.masked_fill(~call.mask, -math.inf) if call.mask.dtype == torch.bool else scores + call.mask
    behind = torch.arange(query.shape[-2])[:, None] - torch.arange(key.shape[-2])
    if call.is_causal:
        scores = scores.masked_fill(behind < 0, -math.inf)
    if call.window is not None:
        scores = scores.masked_fill(behind >= call.window, -math.inf)
    return scores.softmax(dim=-1).nan_to_num(0.0), scores.amax()


def reference(call: AttentionCall) -> tuple[float, float, float]:
    """Compute entropy, sparsity and largest logit by definition."""
    w, largest = weights(call)
    entropy = -(w * torch.where(w > 0, w, 1.0).log()).sum(dim=-1).mean()
    return float(entropy), float((w > THRESHOLD).double().mean()), float(largest)


def tensors(*, heads=4, key_heads=4, queries=40, keys=40, width=16, gain=2.0):
    return torch.randn(2, heads, queries, width) * gain, torch.randn(2, key_heads, keys, width)


def padding():
    mask = torch.ones(2, 1, 1, 40, dtype=torch.bool)
    mask[0, ..., 30:] = False
    return mask


CALLS = {
    "plain": lambda: AttentionCall(*tensors()),
    "causal": lambda: AttentionCall(*tensors(), is_causal=True),
    "scale": lambda: AttentionCall(*tensors(), is_causal=True, scale=0.7),
    "grouped queries": lambda: AttentionCall(*tensors(heads=8, key_heads=2), is_causal=True),
    "padding": lambda: AttentionCall(*tensors(), mask=padding()),
    "padding and causal": lambda: AttentionCall(*tensors(), mask=padding() & torch.ones(40, 40).tril().bool()),
    "additive mask": lambda: AttentionCall(*tensors(), mask=torch.randn(40, 40)),
    "additive minimum": lambda: AttentionCall(
        *tensors(), mask=torch.zeros(2, 1, 40, 40).masked_fill(~padding(), torch.finfo(torch.float32).min)
    ),
    "sliding window": lambda: AttentionCall(*tensors(), is_causal=True, window=7),
    "soft cap": lambda: AttentionCall(*tensors(gain=8.0), is_causal=True, softcap=3.0),
    "cross attention": lambda: AttentionCall(*tensors(queries=24, keys=56)),
    "fully masked rows": lambda: AttentionCall(
        *tensors(), mask=torch.ones(40, 40).bool().index_fill(0, torch.tensor([3, 5]), value=False)
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_exact_statistics_match_definition(name):
    call = CALLS[name]()
    entropy, share, largest = reference(call)
    for numbers in (exact(call, THRESHOLD), sampled(call, rows=64, offset=0.0, threshold=THRESHOLD)):
        assert float(numbers[0]) == pytest.approx(entropy, abs=1e-5)
        assert float(numbers[1]) == pytest.approx(share, abs=1e-7)
        assert float(numbers[2]) == pytest.approx(largest, abs=1e-5)
        assert numbers[3:].tolist() == [0.0, 0.0]


def test_exact_statistics_do_not_depend_on_chunk_size(monkeypatch):
    call = CALLS["causal"]()
    whole = exact(call, THRESHOLD)
    monkeypatch.setattr("holter.torch._attention_math._CHUNK_ELEMENTS_CPU", 1000)
    assert torch.allclose(exact(call, THRESHOLD), whole, atol=1e-6)


@pytest.mark.parametrize("name", ["plain", "causal", "scale", "padding", "cross attention", "fully masked rows"])
def test_fused_entropy_matches_definition(name):
    call = CALLS[name]()
    far = AttentionCall(call.query, call.key + 50.0, call.mask, call.is_causal, call.scale)
    for each in (call, far):
        entropy, normalizer = fused_entropy(each)
        w, _ = weights(each)
        expected = -(w * torch.where(w > 0, w, 1.0).log()).sum(dim=-1)
        assert torch.allclose(entropy.double(), expected, atol=2e-5)
        assert normalizer.shape == entropy.shape
    assert float(exact(far, THRESHOLD)[1]) == pytest.approx(reference(far)[1], abs=1e-5)


@pytest.mark.parametrize("name", ["soft cap", "additive mask", "sliding window"])
def test_fused_entropy_is_none_for_bias_cap_and_window(name):
    assert fused_entropy(CALLS[name]()) is None


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_exact_entropy_of_half_precision_inputs(dtype):
    query, key = tensors()
    call = AttentionCall(query.to(dtype), key.to(dtype), is_causal=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        numbers = exact(call, THRESHOLD)
    assert float(numbers[0]) == pytest.approx(reference(call)[0], abs=1e-5)


@pytest.mark.parametrize("name", ["causal", "padding", "grouped queries"])
def test_sampled_statistics_are_unbiased_with_valid_standard_errors(name):
    call = CALLS[name]()
    entropy, share, _ = reference(call)
    draws = [sampled(call, rows=10, offset=stratum_offset(step), threshold=THRESHOLD) for step in range(200)]
    draws = torch.stack(draws).double()
    means, spreads = draws.mean(dim=0), draws.std(dim=0)
    assert float(means[0]) == pytest.approx(entropy, abs=0.02)
    assert float(means[1]) == pytest.approx(share, rel=0.03)
    assert 0.4 * spreads[0] < means[3] < 3.0 * spreads[0]
    assert 0.4 * spreads[1] < means[4] < 3.0 * spreads[1]


@pytest.mark.parametrize(("queries", "rows"), [(40, 10), (41, 10), (33, 32), (8, 32), (1, 32), (1000, 7)])
def test_sample_has_one_row_per_stratum_and_covers_all_rows_over_time(queries, rows):
    seen = set()
    for step in range(300):
        chosen = stratified_rows(queries, rows, stratum_offset(step), torch.device("cpu")).tolist()
        assert len(chosen) == min(rows, queries)
        assert all(0 <= row < queries for row in chosen)
        if rows < queries:
            assert all(int(i * queries / rows) <= row <= (i + 1) * queries / rows for i, row in enumerate(chosen))
        seen.update(chosen)
    assert seen == set(range(queries))


class SelfAttention(nn.Module):
    """A typical module that calls F.scaled_dot_product_attention."""

    def __init__(self):
        super().__init__()
        self.project = nn.Linear(8, 24)
        self.calls = []

    def forward(self, x):
        query, key, value = self.project(x).unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        self.calls.append(AttentionCall(query.detach(), key.detach(), is_causal=True))
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

    def first_calls(self):
        return [block.attention.calls[0] for block in self.blocks]


def settings(**changes):
    return Attention(**{"rows": 1000, "every": 1, **changes})


def expect(recorder, step, calls):
    for layer, call in enumerate(calls):
        entropy, share, largest = reference(call)
        assert recorder[f"attention_entropy/layer_{layer}"][step] == pytest.approx(entropy, abs=1e-5)
        assert recorder[f"attention_sparsity/layer_{layer}"][step] == pytest.approx(share, abs=1e-7)
        assert recorder[f"attention_max_logit/layer_{layer}"][step] == pytest.approx(largest, abs=1e-5)


@pytest.mark.parametrize("how", [{}, {"exact": True}])
def test_scaled_dot_product_attention_is_recorded_per_layer(recorder, how):
    model = Stack()
    with watch(model, recorder, attention=settings(**how)) as handle:
        model(torch.randn(2, 12, 8)).sum().backward()
        handle.commit()
    expect(recorder, 0, model.first_calls())
    assert recorder.names("attention_entropy/") == [f"attention_entropy/layer_{i}" for i in range(3)]


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointing_counts_each_layer_once(recorder, reentrant):
    model = Stack(checkpointing=reentrant)
    with watch(model, recorder, attention=settings()) as handle:
        model(torch.randn(2, 12, 8, requires_grad=True)).sum().backward()
        handle.commit()
    expect(recorder, 0, model.first_calls())


def test_first_micro_batch_counts(recorder):
    model = Stack()
    with watch(model, recorder, attention=settings()) as handle:
        for _ in range(3):
            model(torch.randn(2, 12, 8)).sum().backward()
        handle.commit()
    expect(recorder, 0, model.first_calls())


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
            block.attention.calls.clear()
        model(torch.randn(2, 12, 8)).sum().backward()
        handle.commit()
    assert set(recorder["attention_entropy/layer_0"]) == {1}
    expect(recorder, 1, model.first_calls())


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
    expect(recorder, 0, [AttentionCall(x[:, None], x[:, None])])
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
    expected = reference(AttentionCall(query.transpose(1, 2), key.transpose(1, 2)))
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
    call = AttentionCall(query.transpose(1, 2), key.transpose(1, 2), mask=~(hidden[:, None, None, :] | future))
    assert recorder["attention_entropy/layer_0"][0] == pytest.approx(reference(call)[0], abs=1e-5)
    assert recorder["attention_sparsity/layer_0"][0] == pytest.approx(reference(call)[1], abs=1e-7)
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
    call = CALLS["soft cap"]()

    class Custom(nn.Module):
        def forward(self, x):
            holter.torch.attention(self, call.query, call.key, is_causal=True, softcap=3.0)
            return x

    model = nn.Sequential(Custom())
    model(torch.zeros(1))
    with watch(model, recorder, attention=settings()) as handle:
        model(torch.zeros(1))
        handle.commit()
    expect(recorder, 0, [call])
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
