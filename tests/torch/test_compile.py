"""torch.compile: the values of eager code, without a break in a graph and without a block compiled anew."""

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402
from torch._dynamo.utils import counters  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402

import holter.torch  # noqa: E402
from holter.demo.model import AtlasLanguageModel, ModelConfig  # noqa: E402
from holter.torch import Attention, Probe, Ratio, emit, watch  # noqa: E402

# What torch itself warns of while it traces is not ours to change.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

LAYERS = 9
"""More than the number of times that one function may be compiled."""

PROBES = (
    Probe("blocks.*.memory", "memory_read_norm", lambda module, inputs, output: output[0]),
    Probe("blocks.*.memory", "memory_write_norm", lambda module, inputs, output: output[1] - inputs[1]),
    Ratio("memory_rw_ratio", "memory_read_norm", "memory_write_norm"),
)


@pytest.fixture(autouse=True)
def compile_anew():
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
def test_values_of_eager_from_one_graph_without_a_break(recorder, how, exact):
    settings = Attention(rows=4, every=1, exact=exact)
    eager, layers = type(recorder)(), LAYERS if how == "regional" else 2
    run(twin := small(layers), twin, eager, attention=settings)
    assert len(eager.names("attention_entropy/")) == len(eager.names("memory_rw_ratio/")) == layers
    model = small(layers)
    run(model, compiled(model, how), recorder, attention=settings)
    assert counters["stats"]["unique_graphs"] == 1
    assert not counters["graph_break"]
    same(recorder, eager)


def test_by_inductor_too(recorder):
    settings = Attention(rows=4, every=1)
    eager = type(recorder)()
    run(twin := small(2), twin, eager, attention=settings)
    model = small(2)
    run(model, compiled(model, "regional", "inductor"), recorder, attention=settings)
    assert not counters["graph_break"]
    same(recorder, eager)


def test_two_graphs_where_attention_is_looked_at_now_and_then(recorder):
    model = small(2)
    run(model, compiled(model, "regional"), recorder, attention=Attention(rows=4, every=3), steps=7)
    assert counters["stats"]["unique_graphs"] == 2
    assert set(recorder["attention_entropy/layer_1"]) == {0, 3, 6}
    assert set(recorder["memory_read_norm/layer_1"]) == set(range(7))


def test_compiled_code_writes_to_the_same_addresses_at_every_step(recorder):
    """CUDA graphs, which there are none of on a CPU, need tensors that neither move nor change their size."""
    model, places = small(2), []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with watch(model, recorder, optimizer, attention=Attention(rows=4, every=2), probes=PROBES) as handle:
        forward = compiled(model, "whole")
        recording = handle._recording
        for _ in range(4):
            forward(torch.zeros(2, 16, dtype=torch.int64), model.initial_memories(2))[0].logsumexp(-1).mean().backward()
            optimizer.step()
            pulses = (recording._attention.pulse, recording._probes._targets)
            tensors = [
                tensor
                for pulse in pulses
                for tensor in (*pulse.now.values(), *pulse.mailbox.values(), *(site.target for site in pulse.sites))
            ]
            assert all(tensor._dynamo_static_input_type == "unguarded" for tensor in tensors)
            places.append([(tensor.data_ptr(), tensor.shape) for tensor in tensors])
    assert len(tensors) == 2 * 2 + 2 * 2
    assert all(step == places[0] for step in places)


def test_of_accumulated_batches_the_first_counts(recorder):
    settings = Attention(rows=4, every=1)
    eager = type(recorder)()
    run(twin := small(2), twin, eager, attention=settings, batches=3)
    model = small(2)
    run(model, compiled(model, "whole"), recorder, attention=settings, batches=3)
    same(recorder, eager)


def test_checkpointing_inside_a_graph(recorder):
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


class Own(nn.Module):
    """An attention of one's own, and a tensor that is not returned."""

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
        self.layers = nn.ModuleList(Own() for _ in range(LAYERS))

    def forward(self, x):
        x = self.first(x)
        for layer in self.layers:
            x = layer(x)
        return x


@pytest.mark.parametrize("how", ["eager", "regional", "whole"])
def test_lines_inside_a_forward(recorder, how):
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
    # Where the module that has the hooks is itself what is compiled, torch compiles each hook for itself.
    assert counters["stats"]["unique_graphs"] <= (3 if how == "regional" else 1)
    assert not counters["graph_break"]


class Talkative(nn.Module):
    """Emits more than there are places for at first."""

    def __init__(self):
        super().__init__()
        self.project = nn.Linear(8, 8)

    def forward(self, x):
        x = self.project(x)
        for part in range(20):
            emit(self, f"part_{part}", x * part)
        return x


@pytest.mark.parametrize("how", ["regional", "whole"])
def test_any_number_of_metrics_may_be_emitted(recorder, how):
    model = nn.Sequential(Talkative(), Talkative())
    forward = torch.compile(model, backend="aot_eager", fullgraph=True) if how == "whole" else model
    for layer in model if how == "regional" else ():
        layer.compile(backend="aot_eager", fullgraph=True)
    x = torch.randn(2, 8, requires_grad=True)  # as the second layer's, so that one graph serves both
    with watch(model, recorder, attention=None) as handle:
        for _ in range(3):
            forward(x).sum().backward()
            handle.commit()
    norm = float(model[0].project(x).detach().double().norm())
    for part in range(20):
        expected = dict.fromkeys((0, 1, 2) if part < 16 else (1, 2), pytest.approx(norm * part, rel=1e-5))
        assert recorder[f"part_{part}/layer_0"] == expected
        assert len(recorder.names(f"part_{part}/")) == 2
    assert counters["stats"]["unique_graphs"] == 2  # before there was room for all, and after
    assert not counters["graph_break"]


class SelfAttention(nn.MultiheadAttention):
    def forward(self, x):
        return super().forward(x, x, x, need_weights=self.forms_weights)[0]


@pytest.mark.parametrize("forms_weights", [True, False])
def test_multihead_attention(recorder, forms_weights):
    model = nn.Sequential(SelfAttention(8, 2, batch_first=True), SelfAttention(8, 2, batch_first=True))
    for layer in model:
        layer.forms_weights = forms_weights
    x, eager = torch.randn(2, 6, 8), type(recorder)()
    for forward, into in ((model, eager), (torch.compile(model, backend="aot_eager", fullgraph=True), recorder)):
        with watch(model, into, attention=Attention(every=1)) as handle:
            forward(x).sum().backward()
            handle.commit()
        model.zero_grad()
    assert len(eager.names("attention_entropy/")) == 2
    same(recorder, eager)


def test_a_probe_that_raises_while_it_is_traced_has_no_value(recorder):
    def fail(module, inputs, output):
        raise ValueError("not today")

    model = nn.Sequential(nn.Linear(3, 3))
    probes = [Probe("0", "bad", fail), Probe("0", "good", lambda module, inputs, output: output)]
    with watch(model, recorder, attention=None, probes=probes) as handle:
        torch.compile(model, backend="aot_eager", fullgraph=True)(torch.ones(2, 3)).sum().backward()
        handle.commit()
    assert recorder.names("bad") == []
    assert recorder["good/layer_0"][0] > 0.0


def test_attention_is_seen_by_a_watch_that_begins_later(recorder):
    model = small(2)
    forward = compiled(model, "whole")
    forward(torch.zeros(2, 16, dtype=torch.int64), model.initial_memories(2))[0].sum().backward()
    with watch(model, recorder, attention=Attention(every=1)) as handle:
        forward(torch.zeros(2, 16, dtype=torch.int64), model.initial_memories(2))[0].sum().backward()
        handle.commit()
    assert recorder["attention_entropy/layer_1"][0] > 0.0


@pytest.mark.expects_faults
def test_probes_that_a_watch_begins_too_late_for_say_so(recorder, caplog):
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


def test_after_the_watch_compiled_code_is_as_before_it(recorder):
    model = small(2)
    forward = compiled(model, "whole")
    original = F.scaled_dot_product_attention
    tokens, memories = torch.zeros(2, 16, dtype=torch.int64), model.initial_memories(2)
    with watch(model, recorder, attention=Attention(every=1), probes=PROBES):
        watched = forward(tokens, memories)[0]
    assert F.scaled_dot_product_attention is original
    assert torch.equal(forward(tokens, memories)[0], watched)
    assert not any(name.startswith("_holter") for module in model.modules() for name in vars(module))
