"""Attention of Hugging Face models, built from configurations, against the weights that the models return."""

import copy
import warnings

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")

from attention_reference import entropy_and_sparsity  # noqa: E402
from holter.torch import Attention, watch  # noqa: E402

SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "vocab_size": 100,
    "max_position_embeddings": 64,
}
GROUPED = {**SIZES, "num_key_value_heads": 2}
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
TOKENS = {"bos_token_id": 0, "eos_token_id": 1}

CONFIGS = {
    "gpt2": lambda: transformers.GPT2Config(
        n_embd=32, n_layer=2, n_head=4, vocab_size=100, n_positions=64, attn_pdrop=0.0, **TOKENS
    ),
    "llama": lambda: transformers.LlamaConfig(**GROUPED),
    "qwen3": lambda: transformers.Qwen3Config(**GROUPED, head_dim=8),
    "mistral": lambda: transformers.MistralConfig(**GROUPED, sliding_window=9),
    "gemma2": lambda: transformers.Gemma2Config(**GROUPED, head_dim=8, sliding_window=9, attn_logit_softcapping=2.0),
    "bert": lambda: transformers.BertConfig(**SIZES, **NO_DROPOUT),
}


def build(name, implementation):
    kind = transformers.AutoModel if name == "bert" else transformers.AutoModelForCausalLM
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kind.from_config(copy.deepcopy(CONFIGS[name]()), attn_implementation=implementation)


def run(name, implementation, has_padding, recorder, settings):
    """Watch one step of a model; return the weights of a copy with eager attention."""
    model, eager = build(name, implementation).train(), build(name, "eager").eval()
    eager.load_state_dict(model.state_dict())
    tokens, mask = torch.randint(0, 100, (2, 24)), torch.ones(2, 24, dtype=torch.int64)
    if has_padding:
        mask[1, 18:] = 0
    with torch.no_grad():
        expected = eager(tokens, attention_mask=mask, output_attentions=True).attentions
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    with watch(model, recorder, attention=settings) as handle:
        model(tokens, attention_mask=mask)[0].sum().backward()
        handle.commit()
        assert handle.disabled == {}
    assert len(expected) == 2
    return expected


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("has_padding", [False, True])
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("name", CONFIGS)
def test_entropy_and_sparsity_match_returned_weights(recorder, name, implementation, has_padding, exact):
    if name == "gemma2" and implementation == "sdpa":
        pytest.skip("scaled_dot_product_attention does not apply its soft cap")
    settings = Attention(rows=100, every=1, exact=exact)
    for layer, weights in enumerate(run(name, implementation, has_padding, recorder, settings)):
        entropy, share = entropy_and_sparsity(weights)
        assert recorder[f"attention_entropy/layer_{layer}"][0] == pytest.approx(entropy, abs=1e-5)
        assert recorder[f"attention_sparsity/layer_{layer}"][0] == pytest.approx(share, abs=1e-6)


def attend(module, query, key, value, visible):
    """Compute attention like the registry's functions, from the full matrix of weights, and keep the weights."""
    groups = query.shape[1] // key.shape[1]
    scores = query @ key.repeat_interleave(groups, dim=1).mT * module.scaling
    module.weights = scores.masked_fill(~visible, float("-inf")).softmax(dim=-1).nan_to_num(0.0)
    return (module.weights @ value.repeat_interleave(groups, dim=1)).transpose(1, 2), None


def flash(module, query, key, value, attention_mask, *, sliding_window=None, position_ids=None, **_others):
    """Replace flash-attn, which has no CPU kernel. Its mask is True for tokens that are not padding."""
    places = torch.arange(key.shape[-2])
    visible = (places[:, None] >= places) & (places[:, None] - places < (sliding_window or 10**9))
    if attention_mask is not None:
        visible = visible & attention_mask[:, None, None, :].bool()
    elif position_ids is not None and len(position_ids) == 1:
        sequence = (position_ids[0] == 0).cumsum(0)
        visible = visible & (sequence[:, None] == sequence)
    return attend(module, query, key, value, visible)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("layout", ["padding", "packed", "plain"])
@pytest.mark.parametrize("name", ["llama", "mistral"])
def test_flash_attention_in_the_registry(recorder, monkeypatch, name, layout):
    registry = transformers.modeling_utils.AttentionInterface._global_mapping
    monkeypatch.setitem(registry, "flash_attention_2", flash)
    model = build(name, "eager").train()
    model.config._attn_implementation = "flash_attention_2"
    tokens = torch.randint(0, 100, (1 if layout == "packed" else 2, 24))
    inputs = {}
    if layout == "padding":
        inputs["attention_mask"] = torch.ones(2, 24, dtype=torch.int64).index_fill_(1, torch.arange(20, 24), 0)
    elif layout == "packed":
        inputs["position_ids"] = torch.cat([torch.arange(10), torch.arange(14)])[None]
    with watch(model, recorder, attention=Attention(rows=100, every=1)) as handle:
        model(tokens, **inputs)[0].sum().backward()
        handle.commit()
        assert handle.disabled == {}
    assert registry["flash_attention_2"] is flash
    for layer, block in enumerate(model.model.layers):
        entropy, _ = entropy_and_sparsity(block.self_attn.weights)
        assert recorder[f"attention_entropy/layer_{layer}"] == {0: pytest.approx(entropy, abs=1e-5)}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["llama", "mistral"])
def test_flex_attention_in_the_registry(recorder, monkeypatch, name):
    registry = transformers.modeling_utils.AttentionInterface._global_mapping

    def flex(module, query, key, value, attention_mask, **_others):
        dense = torch.nn.attention.flex_attention.create_mask(
            attention_mask.mask_mod, len(query), None, query.shape[-2], key.shape[-2], "cpu"
        )
        return attend(module, query, key, value, dense)

    monkeypatch.setitem(registry, "flex_attention", flex)  # FlexAttention has no backward pass on a CPU
    model = build(name, "eager").train()
    model.config._attn_implementation = "flex_attention"
    mask = torch.ones(2, 24, dtype=torch.int64).index_fill_(1, torch.arange(20, 24), 0)
    with watch(model, recorder, attention=Attention(rows=100, every=1)) as handle:
        model(torch.randint(0, 100, (2, 24)), attention_mask=mask)[0].sum().backward()
        handle.commit()
        assert handle.disabled == {}
    for layer, block in enumerate(model.model.layers):
        entropy, _ = entropy_and_sparsity(block.self_attn.weights)
        assert recorder[f"attention_entropy/layer_{layer}"] == {0: pytest.approx(entropy, abs=1e-5)}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_attention_with_left_padding_counts_only_real_queries(recorder, name, implementation, exact):
    model, eager = build(name, implementation).train(), build(name, "eager").eval()
    eager.load_state_dict(model.state_dict())
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    tokens, mask = torch.randint(0, 100, (2, 24)), torch.ones(2, 24, dtype=torch.int64)
    mask[1, :18] = 0
    with torch.no_grad():
        expected = eager(tokens, attention_mask=mask, output_attentions=True).attentions
    with watch(model, recorder, attention=Attention(rows=100, every=1, exact=exact)) as handle:
        model(tokens, attention_mask=mask)[0].sum().backward()
        handle.commit()
        assert handle.disabled == {}
    for layer, weights in enumerate(expected):
        real = torch.cat([weights[0].flatten(0, 1), weights[1, :, 18:].flatten(0, 1)])
        entropy, share = entropy_and_sparsity(real)
        assert recorder[f"attention_entropy/layer_{layer}"][0] == pytest.approx(entropy, abs=1e-5)
        assert recorder[f"attention_sparsity/layer_{layer}"][0] == pytest.approx(share, abs=1e-6)
