"""torch.compile: the values of eager code, without graph breaks and without recompiling blocks."""

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402
from torch._dynamo.utils import counters  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402

import holter.torch  # noqa: E402
from holter.demo.model import AtlasLanguageModel, ModelConfig  # noqa: E402
from holter.torch import Attention, Probe, Ratio, emit, watch  # noqa: E402

# Warnings of torch itself while it traces.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

LAYERS = 9
"""More than torch's limit of recompilations of a function."""

PROBES = (
    Probe("blocks.*.memory", "memory_read_norm", lambda module, inputs, output: output[0]),
    Probe("blocks.*.memory", "memory_write_norm", lambda module, inputs, output: output[1] - inputs[1]),
    Ratio("memory_rw_ratio", "memory_read_norm", "memory_write_norm"),
)


@pytest.fixture(autouse=True)
def reset_compiler():
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


def small(layers=LAYERS):
    torch.manual_seed(0)
    return AtlasLanguageModel(ModelConfig(width=16, heads=2, layers=layers, memory_width=8, chunk=8, context=16))


def run(model, forward, recorder, *, attention, steps=3, batches=1):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    text = torch.arange(steps * batches * 32).reshape(steps, batches, 2, 16) * 7919 % 251
    with watch(model, recorder, optimizer, attention=attention, probes=PROBES) as handle:
        for step in range(steps):
            optimizer.zero_grad()
            for tokens in text[step]:
                forward(tokens, model.initial_memories(2))[0].logsumexp(-1).mean().backward()
            optimizer.step()
        assert handle.disabled == {}
        assert handle.notes == ()


def compiled(model, how, backend="aot_eager"):
    if how == "whole":
        return torch.compile(model, backend=backend, fullgraph=True)
    for block in model.blocks:
        block.compile(backend=backend, fullgraph=True)
    return model


def same(recorder, eager):
    assert recorder.names() == eager.names()
    for name in eager.names():
        assert recorder[name] == pytest.approx(eager[name], rel=1e-4, abs=1e-6), name


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("how", ["regional", "whole"])
def test_compiled_values_equal_eager_values_with_one_graph(recorder, how, exact):
    settings = Attention(rows=4, every=1, exact=exact)
    eager, layers = type(recorder)(), LAYERS if how == "regional" else 2
    run(twin := small(layers), twin, eager, attention=settings)
    assert len(eager.names("attention_entropy/")) == len(eager.names("memory_rw_ratio/")) == layers
    model = small(layers)
    run(model, compiled(model, how), recorder, attention=settings)
    assert counters["stats"]["unique_graphs"] == 1
    assert not counters["graph_break"]
    same(recorder, eager)


def test_inductor_values_equal_eager_values(recorder):
    settings = Attention(rows=4, every=1)
    eager = type(recorder)()
    run(twin := small(2), twin, eager, attention=settings)
    model = small(2)
    run(model, compiled(model, "regional", "inductor"), recorder, attention=settings)
    assert not counters["graph_break"]
    same(recorder, eager)


def test_two_graphs_if_attention_is_recorded_at_some_steps(recorder):
    model = small(2)
    run(model, compiled(model, "regional"), recorder, attention=Attention(rows=4, every=3), steps=7)
    assert counters["stats"]["unique_graphs"] == 2
    assert set(recorder["attention_entropy/layer_1"]) == {0, 3, 6}
    assert set(recorder["memory_read_norm/layer_1"]) == set(range(7))


def test_target_addresses_are_static(recorder):
    """CUDA graphs need tensors that neither move nor change their size; there are no CUDA graphs on a CPU."""
    model, addresses = small(2), []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with watch(model, recorder, optimizer, attention=Attention(rows=4, every=2), probes=PROBES) as handle:
        forward = compiled(model, "whole")
        recording = handle._recording
        for _ in range(4):
            forward(torch.zeros(2, 16, dtype=torch.int64), model.initial_memories(2))[0].logsumexp(-1).mean().backward()
            optimizer.step()
            groups = (recording._attention.targets, recording._probes._targets)
            tensors = [
                tensor
                for group in groups
                for tensor in (
                    *group.now.values(),
                    *group.mailbox.values(),
                    *(target.tensor for target in group.members),
                )
            ]
            assert all(tensor._dynamo_static_input_type == "unguarded" for tensor in tensors)
            addresses.append([(tensor.data_ptr(), tensor.shape) for tensor in tensors])
    assert len(tensors) == 2 * 2 + 2 * 2
    assert all(step == addresses[0] for step in addresses)


def test_first_micro_batch_counts(recorder):
    settings = Attention(rows=4, every=1)
    eager = type(recorder)()
    run(twin := small(2), twin, eager, attention=settings, batches=3)
    model = small(2)
    run(model, compiled(model, "whole"), recorder, attention=settings, batches=3)
    same(recorder, eager)


def test_checkpointing_inside_a_graph_counts_each_layer_once(recorder):
    class Checkpointed(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = small(2).blocks

        def forward(self, x, memory):
            for block in self.blocks:
                x, memory = checkpoint(block, x, memory, use_reentrant=False)
            return x

    torch.manual_seed(0)
    model, x, memory = Checkpointed(), torch.randn(2, 16, 16), torch.randn(2, 8, 8)
    recorders = {}
    for kind in ("eager", "compiled"):
        recorders[kind] = type(recorder)()
        forward = torch.compile(model, backend="aot_eager", fullgraph=True) if kind == "compiled" else model
        with watch(model, recorders[kind], attention=Attention(every=1), probes=PROBES) as handle:
            forward(x, memory).square().sum().backward()
            handle.commit()
        model.zero_grad()
    assert len(recorders["eager"].names("attention_entropy/")) == 2
    same(recorders["compiled"], recorders["eager"])


class Custom(nn.Module):
    """Reports its own attention, and emits a tensor."""

    def __init__(self):
        super().__init__()
        self.project = nn.Linear(8, 16)

    def forward(self, x):
        query, key = self.project(x).chunk(2, dim=-1)
        holter.torch.attention(self, query, key, softcap=5.0)
        emit(self, "inner", query)
        return torch.tanh(query @ key.mT / 8**0.5 / 5.0).mul(5.0).softmax(-1) @ x


class Stack(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 8)
        self.layers = nn.ModuleList(Custom() for _ in range(LAYERS))

    def forward(self, x):
        x = self.first(x)
        for layer in self.layers:
            x = layer(x)
        return x


@pytest.mark.parametrize("how", ["eager", "regional", "whole"])
def test_emit_and_attention_inside_a_compiled_forward(recorder, how):
    model = Stack()
    x = torch.randn(2, 6, 8)
    with watch(model, recorder, attention=Attention(every=1)) as handle:
        forward = torch.compile(model, backend="aot_eager", fullgraph=True) if how == "whole" else model
        for layer in model.layers if how == "regional" else ():
            layer.compile(backend="aot_eager", fullgraph=True)
        for _ in range(2):
            forward(x).sum().backward()
            handle.commit()
    query, key = model.layers[0].project(model.first(x)).detach().double().chunk(2, dim=-1)
    w = torch.tanh(query @ key.mT / 8**0.5 / 5.0).mul(5.0).softmax(-1)
    entropy = float(-(w * w.log()).sum(-1).mean())
    assert recorder["attention_entropy/layer_0"] == dict.fromkeys((0, 1), pytest.approx(entropy, abs=1e-5))
    assert recorder["inner/layer_0"][1] == pytest.approx(float(query.norm()), rel=1e-5)
    assert len(recorder.names("attention_entropy/")) == len(recorder.names("inner/")) == LAYERS
    # If the module with the hooks is itself compiled, torch compiles each hook separately.
    assert counters["stats"]["unique_graphs"] <= (3 if how == "regional" else 1)
    assert not counters["graph_break"]


class EmitsManyMetrics(nn.Module):
    """Emits more metrics than the initial targets have rows."""

    def __init__(self):
        super().__init__()
        self.project = nn.Linear(8, 8)

    def forward(self, x):
        x = self.project(x)
        for part in range(20):
            emit(self, f"part_{part}", x * part)
        return x


@pytest.mark.parametrize("how", ["regional", "whole"])
def test_targets_grow_for_more_emitted_metrics(recorder, how):
    model = nn.Sequential(EmitsManyMetrics(), EmitsManyMetrics())
    forward = torch.compile(model, backend="aot_eager", fullgraph=True) if how == "whole" else model
    for layer in model if how == "regional" else ():
        layer.compile(backend="aot_eager", fullgraph=True)
    x = torch.randn(2, 8, requires_grad=True)  # like the second layer's input, so that both share a graph
    with watch(model, recorder, attention=None) as handle:
        for _ in range(3):
            forward(x).sum().backward()
            handle.commit()
    norm = float(model[0].project(x).detach().double().norm())
    for part in range(20):
        expected = dict.fromkeys((0, 1, 2) if part < 16 else (1, 2), pytest.approx(norm * part, rel=1e-5))
        assert recorder[f"part_{part}/layer_0"] == expected
        assert len(recorder.names(f"part_{part}/")) == 2
    assert counters["stats"]["unique_graphs"] == 2  # before and after the targets have grown
    assert not counters["graph_break"]


class SelfAttention(nn.MultiheadAttention):
    def forward(self, x):
        return super().forward(x, x, x, need_weights=self.forms_weights)[0]


@pytest.mark.parametrize("forms_weights", [True, False])
def test_compiled_multihead_attention_equals_eager(recorder, forms_weights):
    model = nn.Sequential(SelfAttention(8, 2, batch_first=True), SelfAttention(8, 2, batch_first=True))
    for layer in model:
        layer.forms_weights = forms_weights
    x, eager = torch.randn(2, 6, 8), type(recorder)()
    for forward, logger in ((model, eager), (torch.compile(model, backend="aot_eager", fullgraph=True), recorder)):
        with watch(model, logger, attention=Attention(every=1)) as handle:
            forward(x).sum().backward()
            handle.commit()
        model.zero_grad()
    assert len(eager.names("attention_entropy/")) == 2
    same(recorder, eager)


def test_probe_that_raises_while_traced_has_no_value(recorder):
    def fail(module, inputs, output):
        raise ValueError("not today")

    model = nn.Sequential(nn.Linear(3, 3))
    probes = [Probe("0", "bad", fail), Probe("0", "good", lambda module, inputs, output: output)]
    with watch(model, recorder, attention=None, probes=probes) as handle:
        torch.compile(model, backend="aot_eager", fullgraph=True)(torch.ones(2, 3)).sum().backward()
        handle.commit()
    assert recorder.names("bad") == []
    assert recorder["good/layer_0"][0] > 0.0


def test_watch_started_after_compilation_records_attention(recorder):
    model = small(2)
    forward = compiled(model, "whole")
    forward(torch.zeros(2, 16, dtype=torch.int64), model.initial_memories(2))[0].sum().backward()
    with watch(model, recorder, attention=Attention(every=1)) as handle:
        forward(torch.zeros(2, 16, dtype=torch.int64), model.initial_memories(2))[0].sum().backward()
        handle.commit()
    assert recorder["attention_entropy/layer_1"][0] > 0.0


@pytest.mark.expects_warnings
def test_watch_started_after_compilation_warns_that_probes_are_not_traced(recorder, caplog):
    model = nn.Sequential(nn.Linear(3, 3))
    forward = torch.compile(model, backend="aot_eager", fullgraph=True)
    forward(torch.ones(2, 3)).sum().backward()
    probe = Probe("0", "good", lambda module, inputs, output: output)
    with watch(model, recorder, attention=None, probes=[probe]) as handle:
        for _ in range(2):
            forward(torch.ones(2, 3)).sum().backward()
            handle.commit()
        assert len(handle.notes) == 1
        assert "torch.compiler.reset()" in handle.notes[0]
        torch.compiler.reset()
        forward(torch.ones(2, 3)).sum().backward()
        handle.commit()
    assert set(recorder["good/layer_0"]) == {2}
    assert len([record for record in caplog.records if record.name == "holter.torch"]) == 1


def test_closing_the_watch_restores_compiled_code(recorder):
    model = small(2)
    forward = compiled(model, "whole")
    original = F.scaled_dot_product_attention
    tokens, memories = torch.zeros(2, 16, dtype=torch.int64), model.initial_memories(2)
    with watch(model, recorder, attention=Attention(every=1), probes=PROBES):
        watched = forward(tokens, memories)[0]
    assert F.scaled_dot_product_attention is original
    assert torch.equal(forward(tokens, memories)[0], watched)
    assert not any(name.startswith("_holter") for module in model.modules() for name in vars(module))
