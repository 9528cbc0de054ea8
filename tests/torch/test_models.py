"""Recorded values of several models and training setups against float64 references.

References are computed from the queries, keys and masks of each attention call, and from the gradients before
clipping. The tests capture both.
"""

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

from attention_reference import attention_scores, attention_weights, entropy_and_sparsity  # noqa: E402
from gradient_reference import expect_norms, gradient_norms  # noqa: E402
from holter.demo.model import AtlasLanguageModel, ModelConfig  # noqa: E402
from holter.torch import Attention, Probe, watch  # noqa: E402

# Warnings of torch and transformers themselves.
pytestmark = pytest.mark.filterwarnings("ignore")

BATCH, TOKENS, VOCABULARY, LAYERS = 2, 24, 90, 2
SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 32,
}


class HuggingFace(nn.Module):
    """A transformers model from its configuration, with padding if it is bidirectional."""

    def __init__(self, kind, **settings):
        super().__init__()
        transformers = pytest.importorskip("transformers", reason="transformers is not installed")
        config = getattr(transformers, f"{kind}Config")(**settings)
        self.inner = (transformers.AutoModel if kind == "Bert" else transformers.AutoModelForCausalLM).from_config(
            config
        )
        self.has_padding = kind == "Bert"

    def forward(self, tokens):
        mask = torch.ones_like(tokens)
        if self.has_padding:
            mask[0, -5:] = 0
        return self.inner(tokens, attention_mask=mask)[0]

    def checkpoint(self, how):
        self.inner.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": how == "reentrant"})


class Encoder(nn.Module):
    """`nn.TransformerEncoder`, with dropout and padding."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, 16)
        layer = nn.TransformerEncoderLayer(16, 4, 24, dropout=0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)

    def forward(self, tokens):
        return self.encoder(self.embed(tokens), src_key_padding_mask=torch.arange(TOKENS).expand(BATCH, -1) >= 20)


class Demo(nn.Module):
    """The demo's model."""

    def __init__(self):
        super().__init__()
        self.inner = AtlasLanguageModel(
            ModelConfig(width=16, heads=4, layers=LAYERS, memory_width=8, chunk=8, context=TOKENS)
        )

    def forward(self, tokens):
        return self.inner(tokens, self.inner.initial_memories(BATCH))[0]


class Titans(nn.Module):
    """titans-pytorch's memory after attention, in every layer."""

    def __init__(self):
        super().__init__()
        titans = pytest.importorskip("titans_pytorch", reason="titans-pytorch is not installed")
        self.embed = nn.Embedding(VOCABULARY, 16)
        self.layers = nn.ModuleList(
            nn.ModuleDict(
                {
                    "attention": nn.MultiheadAttention(16, 4, batch_first=True),
                    "memory": titans.NeuralMemory(dim=16, chunk_size=8, heads=2),
                }
            )
            for _ in range(LAYERS)
        )
        for parameter in self.parameters():  # some are views of a head's parameters, which an optimizer cannot update
            parameter.data = parameter.data.clone()

    def forward(self, tokens):
        x = self.embed(tokens)
        for layer in self.layers:
            x = x + layer["attention"](x, x, x, need_weights=False)[0]
            x = x + layer["memory"](x)[0]
        return x


GROUPED = {**SIZES, "num_key_value_heads": 2}
MODELS = {
    "gpt2": lambda: HuggingFace(
        "GPT2",
        n_embd=16,
        n_layer=LAYERS,
        n_head=4,
        vocab_size=VOCABULARY,
        n_positions=32,
        eos_token_id=1,
        bos_token_id=0,
    ),
    "llama": lambda: HuggingFace("Llama", **GROUPED),
    "qwen3": lambda: HuggingFace("Qwen3", **GROUPED, head_dim=8),
    "mistral": lambda: HuggingFace("Mistral", **GROUPED, sliding_window=9),
    "bert": lambda: HuggingFace("Bert", **SIZES),
    "encoder": Encoder,
    "titans": Titans,
    "demo": Demo,
}


class CallRecorder:
    """Captures the model's attention calls with gradients enabled."""

    def __init__(self, monkeypatch):
        self.references = []
        original = F.scaled_dot_product_attention

        def attend(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, **rest):  # noqa: PLR0917
            if torch.is_grad_enabled():
                scores = attention_scores(query, key, mask=attn_mask, is_causal=is_causal, scale=rest.get("scale"))
                self.references.append(entropy_and_sparsity(attention_weights(scores)))
            return original(query, key, value, attn_mask, dropout_p, is_causal, **rest)

        monkeypatch.setattr(F, "scaled_dot_product_attention", attend)

    def first(self):
        """Return the first call of each layer."""
        return self.references[:LAYERS]


def batch():
    return torch.randint(0, VOCABULARY, (BATCH, TOKENS))


def backward(model, scaler=None):
    loss = model(batch()).float().square().mean()
    (loss if scaler is None else scaler.scale(loss)).backward()


def expect(recorder, step, expected, calls, *, entropy=1e-5):
    expect_norms(recorder, step, expected, tolerance=1e-4)
    assert len(recorder.names("attention_entropy/")) == LAYERS
    assert len(calls) == LAYERS
    for layer, (found, share) in enumerate(calls):
        assert recorder[f"attention_entropy/layer_{layer}"][step] == pytest.approx(found, abs=entropy)
        assert recorder[f"attention_sparsity/layer_{layer}"][step] == pytest.approx(share, abs=1e-5)


@pytest.fixture(params=MODELS)
def model(request):
    torch.manual_seed(0)
    return MODELS[request.param]().train()


@pytest.fixture(params=[True, False], ids=["exact", "sampled"])
def attention(request):
    return Attention(rows=TOKENS, every=1, exact=request.param)


def test_accumulation_with_torch_clipping(recorder, model, attention, monkeypatch):
    calls, optimizer = CallRecorder(monkeypatch), torch.optim.AdamW(model.parameters(), lr=1e-3)
    with watch(model, recorder, optimizer, attention=attention) as handle:
        for step in range(2):
            optimizer.zero_grad()
            calls.references.clear()
            for _ in range(2):
                backward(model)
            expected = gradient_norms(model)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.01)
            optimizer.step()
            expect(recorder, step, expected, calls.first())
        assert handle.disabled == {}


def test_bfloat16_autocast_with_watch_clipping(recorder, model, attention, monkeypatch):
    calls, optimizer = CallRecorder(monkeypatch), torch.optim.AdamW(model.parameters(), lr=1e-3)
    with watch(model, recorder, optimizer, attention=attention) as handle:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            backward(model)
        expected = gradient_norms(model)
        handle.clip_grad_norm_(0.01)
        optimizer.step()
        assert handle.disabled == {}
    expect(recorder, 0, expected, calls.first(), entropy=1e-3)


@pytest.mark.parametrize("fused", [False, True])
def test_float16_with_scaler_and_overflow(recorder, model, monkeypatch, fused):
    calls, optimizer = CallRecorder(monkeypatch), torch.optim.AdamW(model.parameters(), lr=1e-3, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=256.0)
    with watch(model, recorder, optimizer, attention=Attention(every=1)) as handle:
        for step in range(3):
            optimizer.zero_grad()
            calls.references.clear()
            with torch.autocast("cpu", dtype=torch.float16):
                backward(model, scaler)
            expected = gradient_norms(model, scaler.get_scale())
            if step == 1:
                next(p for p in model.parameters() if p.grad is not None).grad.fill_(float("inf"))
            if step == 2:
                scaler.unscale_(optimizer)
                handle.clip_grad_norm_(0.01)
            scaler.step(optimizer)
            scaler.update()
            if step != 1:
                expect(recorder, step, expected, calls.first(), entropy=1e-3)
        assert handle.disabled == {}
    assert recorder["optimizer_step_skipped"] == {1: 1.0}
    assert set(recorder["grad_norm_total"]) == {0, 2}
    assert set(recorder["attention_entropy/layer_0"]) == {0, 1, 2}


@pytest.mark.parametrize("how", ["reentrant", "not reentrant"])
@pytest.mark.parametrize("name", ["gpt2", "llama", "qwen3", "mistral", "bert"])
def test_checkpointing_enabled_by_the_model(recorder, monkeypatch, name, how):
    model = MODELS[name]()
    model.checkpoint(how)
    model.inner.enable_input_require_grads()
    calls, optimizer = CallRecorder(monkeypatch), torch.optim.AdamW(model.parameters(), lr=1e-3)
    with watch(model.train(), recorder, optimizer, attention=Attention(every=1)) as handle:
        backward(model)
        expected = gradient_norms(model)
        optimizer.step()
        assert handle.disabled == {}
    # Recomputation runs through the layers in reverse. If reentrant, only the recomputation has gradients enabled.
    assert len(calls.references) == (LAYERS if how == "reentrant" else 2 * LAYERS)
    expect(recorder, 0, expected, calls.first()[::-1] if how == "reentrant" else calls.first())


def test_compiled_values_equal_eager_values(recorder, model):
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(module, nn.MultiheadAttention):
            module.dropout = 0.0
    torch._dynamo.reset()
    text, recorders = batch(), {}
    for kind in ("eager", "compiled"):
        recorders[kind] = type(recorder)()
        model.zero_grad()
        with watch(model, recorders[kind], attention=Attention(every=1)) as handle:
            forward = torch.compile(model, backend="eager") if kind == "compiled" else model
            forward(text).square().mean().backward()
            handle.commit()
            assert handle.disabled == {}
    assert len(recorders["eager"].names("attention_entropy/")) == LAYERS
    assert recorders["compiled"].names() == recorders["eager"].names()
    for name in recorders["eager"].names():
        assert recorders["compiled"][name] == pytest.approx(recorders["eager"][name], rel=1e-3, abs=1e-6), name


def test_watched_training_is_bit_identical(recorder, model):
    states, start = [], {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for is_watched in (False, True):
        model.load_state_dict(start)
        torch.manual_seed(1)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
        handle = watch(
            model,
            recorder,
            optimizer,
            attention=Attention(every=1, exact=True),
            probes=[Probe("*", "norm", lambda module, inputs, output: output if torch.is_tensor(output) else None)],
        )
        if not is_watched:
            handle.close()
        losses = []
        for _ in range(3):
            optimizer.zero_grad()
            loss = model(batch()).square().mean()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            optimizer.step()
            losses.append(loss.item())
        assert handle.disabled == {}
        handle.close()
        states.append((losses, [tensor.clone() for tensor in model.state_dict().values()], torch.get_rng_state()))
    (losses, parameters, random), (watched_losses, watched_parameters, watched_random) = states
    assert watched_losses == losses
    assert all(torch.equal(a, b) for a, b in zip(watched_parameters, parameters, strict=True))
    assert torch.equal(watched_random, random)
    assert set(recorder["attention_entropy/layer_1"]) == {0, 1, 2}
