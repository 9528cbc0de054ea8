"""The demo's model, titans-pytorch and autocast against float64 references."""

import math

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

from attention_reference import attention_scores, attention_weights, entropy_and_sparsity  # noqa: E402
from holter.demo.model import AtlasLanguageModel, ModelConfig  # noqa: E402
from holter.demo.train import make_optimizer, watch_everything  # noqa: E402
from holter.torch import Attention, Probe, Ratio, watch  # noqa: E402

SMALL = ModelConfig(width=32, heads=4, layers=2, memory_width=8, chunk=16, context=128)


def statistics(query, key):
    """Compute entropy and sparsity of causal attention by definition."""
    return entropy_and_sparsity(attention_weights(attention_scores(query, key, is_causal=True)))


@pytest.fixture
def calls(monkeypatch):
    """Capture the queries and keys of every attention call."""
    found, original = [], F.scaled_dot_product_attention

    def capture(query, key, *args, **kwargs):
        found.append((query.detach().clone(), key.detach().clone()))
        return original(query, key, *args, **kwargs)

    monkeypatch.setattr(F, "scaled_dot_product_attention", capture)
    return found


def train_step(model, batch=2):
    """Run one forward and backward pass."""
    tokens = torch.arange(batch * 128).reshape(batch, 128) * 7919 % 251
    logits, _ = model(tokens, model.initial_memories(batch))
    F.cross_entropy(logits.flatten(0, 1).float(), tokens.flatten()).backward()


def test_demo_model_in_exact_mode(recorder, calls):
    model = AtlasLanguageModel(SMALL)
    with watch(model, recorder, attention="exact") as handle:
        train_step(model)
        handle.commit()
    for layer, (query, key) in enumerate(calls):
        entropy, share = statistics(query, key)
        assert recorder[f"attention_entropy/layer_{layer}"][0] == pytest.approx(entropy, abs=1e-5)
        assert recorder[f"attention_sparsity/layer_{layer}"][0] == pytest.approx(share, abs=1e-9)
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            norm = float(parameter.grad.double().norm())
            assert recorder[f"grad_norm/{name}"][0] == pytest.approx(norm, rel=1e-4)


def test_demo_model_in_sampled_mode_is_unbiased_within_its_standard_error(recorder, calls):
    """The weights stay the same, so that the steps differ only in the sampled queries."""
    torch.manual_seed(3)
    model, steps = AtlasLanguageModel(SMALL), 60
    with watch(model, recorder, attention=Attention(rows=32, every=1, standard_error=True)) as handle:
        for step in range(steps):
            train_step(model)
            handle.commit(step)
    for layer, (query, key) in enumerate(calls[: SMALL.layers]):
        for metric, expected in zip(("entropy", "sparsity"), statistics(query, key), strict=True):
            found = torch.tensor(list(recorder[f"attention_{metric}/layer_{layer}"].values())).double()
            errors = torch.tensor(list(recorder[f"attention_{metric}_se/layer_{layer}"].values())).double()
            assert len(found) == steps
            assert abs(float(found.mean()) - expected) < float(errors.mean()) / 3
            assert float(((found - expected).abs() < 3 * errors).double().mean()) > 0.9, (metric, layer)


@pytest.mark.parametrize("exact", [False, True])
def test_bfloat16_autocast(recorder, calls, exact):
    model = AtlasLanguageModel(SMALL)
    with watch(model, recorder, attention=Attention(rows=128, every=1, exact=exact)) as handle:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            train_step(model)
        handle.commit()
    assert len(calls) == SMALL.layers
    for layer, (query, key) in enumerate(calls):
        entropy, share = statistics(query, key)
        assert recorder[f"attention_entropy/layer_{layer}"][0] == pytest.approx(entropy, abs=1e-3)
        assert recorder[f"attention_sparsity/layer_{layer}"][0] == pytest.approx(share, abs=1e-5)
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            assert recorder[f"grad_norm/{name}"][0] == pytest.approx(float(parameter.grad.double().norm()), rel=1e-4)


def test_demo_model_memory_and_mixer(recorder):
    model = AtlasLanguageModel(SMALL)
    seen = {}

    def keep(module, inputs, output):
        seen[module] = [tensor.detach().double() for tensor in (inputs[1], *output)]

    for block in model.blocks:
        block.memory.register_forward_hook(keep)
    with watch_everything(model, recorder, make_optimizer(model)) as handle:
        train_step(model)
        handle.clip_grad_norm_(1.0)
        handle._recording.on_gradients(None, None, None)
        handle.commit()
    for layer, block in enumerate(model.blocks):
        before, read, after = seen[block.memory]
        assert recorder[f"memory_read_norm/layer_{layer}"][0] == pytest.approx(float(read.norm()), rel=1e-4)
        assert recorder[f"memory_write_norm/layer_{layer}"][0] == pytest.approx(
            float((after - before).norm()), rel=1e-4
        )
        ratio = float(read.norm() / (after - before).norm())
        assert recorder[f"memory_rw_ratio/layer_{layer}"][0] == pytest.approx(ratio, rel=1e-4)
        assert recorder[f"m3_alpha/layer_{layer}"][0] == pytest.approx(0.5)
        singular = torch.linalg.svdvals(block.M_init.detach().double())
        p = singular / singular.sum()
    handle.close()
    assert recorder["effective_rank/layer_1"][0] == pytest.approx(float((-(p * p.log()).sum()).exp()), rel=1e-4)


@pytest.mark.filterwarnings("ignore")
def test_titans_neural_memory(recorder):
    titans = pytest.importorskip("titans_pytorch", reason="titans-pytorch is not installed")

    class Stack(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(titans.NeuralMemory(dim=16, chunk_size=8, heads=2) for _ in range(2))
            self.outcomes = []

        def forward(self, x):
            for layer in self.layers:
                out = layer(x)
                self.outcomes.append(out)
                x = x + out[0]
            return x

    model = Stack()
    probes = [
        Probe("layers.?", "memory_read_norm", lambda module, inputs, output: output[0]),
        Probe("layers.?", "memory_write_norm", lambda module, inputs, output: output[1].updates),
        Ratio("memory_rw_ratio", "memory_read_norm", "memory_write_norm"),
    ]
    with watch(model, recorder, attention=None, probes=probes) as handle:
        model(torch.randn(2, 32, 16)).square().mean().backward()
        handle.commit()
        assert handle.disabled == {}
    for layer, (read, state) in enumerate(model.outcomes):
        written = math.sqrt(sum(float(update.detach().double().square().sum()) for update in state.updates.values()))
        assert recorder[f"memory_read_norm/layer_{layer}"][0] == pytest.approx(float(read.double().norm()), rel=1e-4)
        assert recorder[f"memory_write_norm/layer_{layer}"][0] == pytest.approx(written, rel=1e-4)
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            assert recorder[f"grad_norm/{name}"][0] == pytest.approx(float(parameter.grad.double().norm()), rel=1e-4)


def test_layers_named_by_word_and_number(recorder):
    layers = nn.ModuleDict({f"layer_{i}": nn.MultiheadAttention(8, 2, batch_first=True) for i in range(2)})
    model, x = nn.ModuleDict({"encoder": layers}), torch.randn(2, 6, 8)
    with watch(model, recorder, attention=Attention(every=1)) as handle:
        for layer in layers.values():
            x = layer(x, x, x)[0]
        x.sum().backward()
        handle.commit()
    assert recorder.names("attention_entropy/") == ["attention_entropy/layer_0", "attention_entropy/layer_1"]
