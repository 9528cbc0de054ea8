"""Hugging Face models built from their configurations: attention against the weights that they return themselves."""

import copy
import warnings

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")

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


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("has_padding", [False, True])
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("name", CONFIGS)
def test_entropy_and_sparsity(recorder, name, implementation, has_padding):
    if name == "gemma2" and implementation == "sdpa":
        pytest.skip("its soft cap is not applied by scaled_dot_product_attention")
    model, twin = build(name, implementation).train(), build(name, "eager").eval()
    twin.load_state_dict(model.state_dict())
    tokens, mask = torch.randint(0, 100, (2, 24)), torch.ones(2, 24, dtype=torch.int64)
    if has_padding:
        mask[1, 18:] = 0
    with torch.no_grad():
        expected = twin(tokens, attention_mask=mask, output_attentions=True).attentions
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    with watch(model, recorder, attention=Attention(rows=100, every=1)) as handle:
        model(tokens, attention_mask=mask)[0].sum().backward()
        handle.commit()
    assert len(expected) == 2
    for layer, weights in enumerate(expected):
        w = weights.double()
        entropy = -(w * torch.where(w > 0, w, 1.0).log()).sum(dim=-1).mean()
        assert recorder[f"attention_entropy/layer_{layer}"][0] == pytest.approx(float(entropy), abs=1e-5)
        share = float((w > 0.1).double().mean())
        assert recorder[f"attention_sparsity/layer_{layer}"][0] == pytest.approx(share, abs=1e-6)
