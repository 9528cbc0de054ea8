"""Attention functions with further arguments: a bias is added to the scores, any other argument means no value."""

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")

import torch.nn.functional as F  # noqa: E402

from attention_reference import entropy_and_sparsity  # noqa: E402
from holter.torch import Attention, watch  # noqa: E402

SIZES = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "vocab_size": 100, "dropout_rate": 0.0}
ENCODERS = {
    "t5": lambda: transformers.T5EncoderModel(transformers.T5Config(**SIZES)),
    "mt5": lambda: transformers.MT5EncoderModel(transformers.MT5Config(**SIZES)),
    "umt5": lambda: transformers.UMT5EncoderModel(transformers.UMT5Config(**SIZES)),
}
pytestmark = pytest.mark.filterwarnings("ignore")


def build(name):
    model = ENCODERS[name]().train()
    model.set_attn_implementation("eager")
    with torch.no_grad():
        for path, parameter in model.named_parameters():
            if "relative_attention_bias" in path:
                parameter.normal_().mul_(4.0)
    return model


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("name", ENCODERS)
def test_attention_bias_is_part_of_the_scores(recorder, name, exact):
    model = build(name)
    tokens, mask = torch.randint(2, 100, (2, 24)), torch.ones(2, 24, dtype=torch.int64)
    mask[1, 20:] = 0
    with torch.no_grad():
        expected = model(tokens, attention_mask=mask, output_attentions=True).attentions
    with watch(model, recorder, attention=Attention(rows=100, every=1, exact=exact)) as handle:
        model(tokens, attention_mask=mask)[0].sum().backward()
        handle.commit()
        assert handle.disabled == {}
    assert len(expected) == 2
    for layer, weights in enumerate(expected):
        entropy, share = entropy_and_sparsity(weights)
        assert recorder[f"attention_entropy/layer_{layer}"][0] == pytest.approx(entropy, abs=1e-5)
        assert recorder[f"attention_sparsity/layer_{layer}"][0] == pytest.approx(share, abs=1e-6)


def test_attention_of_a_model_with_a_decoder_and_a_bias(recorder):
    model = transformers.T5Model(transformers.T5Config(**SIZES)).train()
    model.set_attn_implementation("eager")
    tokens = torch.randint(2, 100, (2, 12))
    with torch.no_grad():
        expected = model(tokens, decoder_input_ids=tokens[:, :7], output_attentions=True)
    with watch(model, recorder, attention=Attention(rows=100, every=1)) as handle:
        model(tokens, decoder_input_ids=tokens[:, :7])[0].sum().backward()
        handle.commit()
        assert handle.disabled == {}
    for path, weights in (
        ("encoder.block.1.layer.0.SelfAttention", expected.encoder_attentions[1]),
        ("decoder.block.1.layer.0.SelfAttention", expected.decoder_attentions[1]),
        ("decoder.block.1.layer.1.EncDecAttention", expected.cross_attentions[1]),
    ):
        entropy, _ = entropy_and_sparsity(weights)
        assert recorder[f"attention_entropy/{path}"][0] == pytest.approx(entropy, abs=1e-5)


@pytest.mark.expects_warnings
@pytest.mark.parametrize("is_used", [True, False])
def test_attention_function_with_an_unknown_argument_has_no_value(recorder, monkeypatch, is_used):
    module = transformers.models.llama.modeling_llama
    original = module.eager_attention_forward

    def uses(module, query, key, value, attention_mask, *, scaling, dropout=0.0, temperature=None, **_others):
        return original(module, query * temperature, key, value, attention_mask, scaling=scaling, dropout=dropout)

    def ignores(module, query, key, value, attention_mask, *, scaling, dropout=0.0, **_others):
        return original(module, query, key, value, attention_mask, scaling=scaling, dropout=dropout)

    monkeypatch.setattr(module, "eager_attention_forward", uses if is_used else ignores)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    model = transformers.LlamaModel(transformers.LlamaConfig(**sizes, vocab_size=100)).train()
    model.set_attn_implementation("eager")
    tokens = torch.randint(2, 100, (2, 12))
    expected = model(tokens, temperature=2.0)[0]
    with watch(model, recorder, attention=Attention(rows=100, every=1)) as handle:
        for _ in range(2):
            found = model(tokens, temperature=2.0)[0]
            found.sum().backward()
            handle.commit()
        assert handle.disabled == {}
        assert len(handle.notes) == (1 if is_used else 0)
        assert all("'temperature'" in note and "layers.0.self_attn" in note for note in handle.notes)
    assert torch.equal(found, expected)
    assert set(recorder["attention_entropy/layer_0"]) == (set() if is_used else {0, 1})


@pytest.mark.expects_warnings
def test_replaced_fused_function_with_an_unknown_argument_has_no_value(recorder, monkeypatch):
    original = F.scaled_dot_product_attention
    monkeypatch.setattr(
        F, "scaled_dot_product_attention", lambda *args, tau=1.0, **kwargs: original(*args, **kwargs) * tau
    )

    class SelfAttention(torch.nn.Module):
        def forward(self, x):
            return F.scaled_dot_product_attention(x, x, x, tau=2.0)

    model = torch.nn.Sequential(SelfAttention())
    with watch(model, recorder, attention=Attention(every=1)) as handle:
        model(torch.randn(2, 1, 4, 8, requires_grad=True)).sum().backward()
        handle.commit()
        assert handle.disabled == {}
        assert len(handle.notes) == 1
        assert "tau" in handle.notes[0]
    assert recorder.names("attention") == []
