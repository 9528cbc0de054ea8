"""Modules that run several times in a step, on several threads, and several watches on one logger."""

import threading

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402

from attention_reference import attention_scores, attention_weights, entropy_and_sparsity  # noqa: E402
from holter.torch import Attention, Probe, Ratio, emit, watch  # noqa: E402

EVERY_ROW = Attention(rows=1000, every=1)


class SelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.project = nn.Linear(8, 24)
        self.entropies = []

    def forward(self, x):
        query, key, value = self.project(x).unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        self.entropies.append(entropy_and_sparsity(attention_weights(attention_scores(query, key)))[0])
        emit(self, "size", x)
        return F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)


class Shared(nn.Module):
    """Runs one layer four times, as ALBERT does."""

    def __init__(self, checkpointing=None):
        super().__init__()
        self.layers = nn.ModuleList([SelfAttention()])
        self.checkpointing = checkpointing

    def forward(self, x):
        if self.checkpointing is not None:
            return checkpoint(self.whole, x, use_reentrant=self.checkpointing)
        return self.whole(x)

    def whole(self, x):
        for _ in range(4):
            x = self.layers[0](x) * 3.0
        return x


def expected_values(calls, values):
    of = {"first": values[0], "last": values[-1], "mean": sum(values) / len(values)}
    return {f"/call_{i}": value for i, value in enumerate(values)} if calls == "each" else {"": of[calls]}


@pytest.mark.parametrize("checkpointing", [None, False, True])
@pytest.mark.parametrize("calls", ["first", "last", "mean", "each"])
def test_calls_chooses_which_call_of_a_shared_layer_counts(recorder, calls, checkpointing):
    model = Shared(checkpointing)
    probes = [
        Probe("layers.0", "read", lambda module, inputs, output: output),
        Probe("layers.0", "write", lambda module, inputs, output: inputs[0]),
        Ratio("ratio", "read", "write"),
    ]
    with watch(model, recorder, attention=EVERY_ROW, probes=probes, calls=calls) as handle:
        for step in range(2):
            model.layers[0].entropies.clear()
            model(torch.randn(2, 6, 8, requires_grad=True)).sum().backward()
            handle.commit(step)
        counts = handle.calls
        assert handle.disabled == {}
    assert counts == dict.fromkeys(("attention_entropy/layer_0", "size/layer_0", "read/layer_0", "write/layer_0"), 4)
    expected = expected_values(calls, model.layers[0].entropies[:4])
    assert recorder.names("attention_entropy/") == [f"attention_entropy/layer_0{suffix}" for suffix in expected]
    for suffix, entropy in expected.items():
        assert recorder[f"attention_entropy/layer_0{suffix}"][1] == pytest.approx(entropy, abs=1e-5)
        read, write = (recorder[f"{name}/layer_0{suffix}"][1] for name in ("read", "write"))
        assert recorder[f"size/layer_0{suffix}"][1] == pytest.approx(write)
        assert recorder[f"ratio/layer_0{suffix}"][1] == pytest.approx(read / write, rel=1e-5)


def test_calls_must_be_one_of_four(recorder):
    with pytest.raises(ValueError, match="calls must be one of first, last, mean, each"):
        watch(nn.Linear(2, 2), recorder, calls="all")


def test_calls_inside_a_function_that_computes_the_same_attention_count_once(recorder, monkeypatch):
    transformers = pytest.importorskip("transformers")
    registry = transformers.modeling_utils.AttentionInterface._global_mapping

    def flash(module, query, key, value, attention_mask, **_others):
        return F.scaled_dot_product_attention(query, key, value, is_causal=True).transpose(1, 2), None

    monkeypatch.setitem(registry, "flash_attention_2", flash)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 48}
    model = transformers.LlamaModel(transformers.LlamaConfig(**sizes, vocab_size=100)).train()
    model.config._attn_implementation = "flash_attention_2"
    with watch(model, recorder, attention=EVERY_ROW, calls="each") as handle:
        model(torch.randint(0, 100, (2, 12)))[0].sum().backward()
        handle.commit()
    assert recorder.names("attention_entropy/") == ["attention_entropy/layer_0/call_0"]


def test_attention_on_another_thread_is_not_part_of_the_layer(recorder):
    other, inside, done = SelfAttention(), threading.Event(), threading.Event()

    class Waiting(SelfAttention):
        def forward(self, x):
            inside.set()
            assert done.wait(60.0)
            return super().forward(x)

    def run_other():
        assert inside.wait(60.0)
        other(torch.randn(2, 6, 8) * 10.0)
        done.set()

    model = nn.Sequential(Waiting())
    with watch(model, recorder, attention=EVERY_ROW, calls="each") as handle:
        thread = threading.Thread(target=run_other)
        thread.start()
        model(torch.randn(2, 6, 8)).sum().backward()
        thread.join()
        handle.commit()
    assert recorder.names("attention_entropy/") == ["attention_entropy/layer_0/call_0"]
    entropy = recorder["attention_entropy/layer_0/call_0"][0]
    assert entropy == pytest.approx(model[0].entropies[0], abs=1e-5)


def test_attention_of_a_watched_model_on_another_thread_is_recorded(recorder):
    model = nn.Sequential(SelfAttention())
    with watch(model, recorder, attention=EVERY_ROW) as handle:
        thread = threading.Thread(target=lambda: model(torch.randn(2, 6, 8)).sum().backward())
        thread.start()
        thread.join()
        handle.commit()
    assert recorder["attention_entropy/layer_0"] == {0: pytest.approx(model[0].entropies[0], abs=1e-5)}


def test_prefix_keeps_two_watches_apart(recorder):
    models = {"generator/": nn.Sequential(SelfAttention()), "critic/": nn.Sequential(SelfAttention())}
    probe = Probe("0", "out", lambda module, inputs, output: output)
    handles = {
        prefix: watch(model, recorder, attention=EVERY_ROW, probes=[probe], prefix=prefix)
        for prefix, model in models.items()
    }
    norms = {}
    for prefix, model in models.items():
        model(torch.randn(2, 6, 8)).sum().backward()
        norms[prefix] = torch.stack([parameter.grad.norm() for parameter in model.parameters()]).norm().item()
        handles[prefix].log(f"{prefix}loss", 1.0)
        handles[prefix].commit()
        handles[prefix].close()
    for prefix, norm in norms.items():
        assert recorder[f"{prefix}grad_norm_total"] == {0: pytest.approx(norm, rel=1e-6)}
        assert recorder[f"{prefix}loss"] == {0: 1.0}
    assert {name.split("/")[0] for name in recorder.names()} == {"generator", "critic"}
    for name in ("attention_entropy/layer_0", "out/layer_0", "size/layer_0", "grad_norm/0.project.weight"):
        assert recorder[f"generator/{name}"] != recorder[f"critic/{name}"]


def test_watches_with_the_same_names_on_one_logger_raise(recorder):
    first, second = nn.Sequential(SelfAttention()), nn.Sequential(SelfAttention())
    probe = Probe("0", "out", lambda module, inputs, output: output)
    before = F.scaled_dot_product_attention
    for options in (
        {"attention": None},
        {"gradients": False},
        {"gradients": False, "attention": None, "probes": [probe]},
    ):
        with watch(first, recorder, **options):
            with pytest.raises(ValueError, match="prefix="):
                watch(second, recorder, **options)
            watch(second, type(recorder)(), **options).close()
            watch(second, recorder, prefix="second/", **options).close()
        watch(second, recorder, **options).close()
    assert F.scaled_dot_product_attention is before
    assert not second[0]._forward_hooks
    with watch(first, recorder, gradients=False), watch(second, recorder, attention=None):
        pass
