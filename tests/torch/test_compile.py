"""torch.compile: a watch neither breaks a graph nor has a block compiled anew, and what it cannot see it says."""

import pytest

torch = pytest.importorskip("torch")

from torch._dynamo.utils import counters  # noqa: E402

from holter.demo.model import AtlasLanguageModel, ModelConfig  # noqa: E402
from holter.torch import Attention, Probe, emit, watch  # noqa: E402

# What torch itself warns of while it traces is not ours to change.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")

LAYERS = 12
"""More than the number of times that one function may be compiled."""


@pytest.fixture(autouse=True)
def compile_anew():
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


@pytest.fixture
def model():
    return AtlasLanguageModel(ModelConfig(width=16, heads=2, layers=LAYERS, memory_width=8, chunk=8, context=16))


def run(model, compiled, recorder):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    probes = [Probe("blocks.*.memory", "memory_read_norm", lambda module, inputs, output: output[0])]
    with watch(model, recorder, optimizer, attention=Attention(every=1), probes=probes) as handle:
        for _ in range(3):
            optimizer.zero_grad()
            compiled(torch.zeros(2, 16, dtype=torch.int64), model.initial_memories(2))[0].square().sum().backward()
            optimizer.step()
        assert handle.disabled == {}


@pytest.mark.expects_faults
@pytest.mark.parametrize("regional", [True, False])
def test_one_graph_without_a_break_and_the_gradients_of_eager(recorder, model, regional, caplog):
    twin = AtlasLanguageModel(model.config)
    twin.load_state_dict(model.state_dict())
    eager = type(recorder)()
    run(twin, twin, eager)
    assert [record for record in caplog.records if record.name == "holter.torch"] == []
    compiled = model
    if regional:
        for block in model.blocks:
            block.compile(backend="eager", fullgraph=True)
    else:
        compiled = torch.compile(model, backend="eager", fullgraph=True)
    run(model, compiled, recorder)
    assert counters["stats"]["unique_graphs"] == 1
    assert not counters["graph_break"]
    assert recorder["grad_norm_total"] == pytest.approx(eager["grad_norm_total"], rel=1e-5)
    assert recorder.names("grad_norm/") == eager.names("grad_norm/")
    assert len(eager.names("memory_read_norm/")) == LAYERS
    assert [record.getMessage() for record in caplog.records if "torch.compile" in record.getMessage()]


def test_emit_is_traced_away(recorder):
    class Emitting(torch.nn.Module):
        def forward(self, x):
            emit(self, "inner", x)
            return x * 2.0

    model = Emitting()
    with watch(model, recorder, attention=None):
        compiled = torch.compile(model, backend="eager", fullgraph=True)
        assert compiled(torch.ones(1)).item() == 2.0
    assert not counters["graph_break"]
