"""Exporting, tracing and scripting a watched model, and running it on tensors without data: hooks do nothing."""

import copy
import re

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402
from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402
from torch.fx.experimental.proxy_tensor import make_fx  # noqa: E402
from torch.utils.checkpoint import checkpoint, create_selective_checkpoint_contexts  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

import holter.torch  # noqa: E402
from holter.torch import Attention, Parameter, Probe, Rank, watch  # noqa: E402


class SelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.project = nn.Linear(8, 24)

    def forward(self, x):
        parts = self.project(x).unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        return F.scaled_dot_product_attention(parts[0], parts[1], parts[2], is_causal=True).transpose(1, 2).flatten(2)


class Emitting(nn.Module):
    def forward(self, x):
        holter.torch.emit(self, "inner", x)
        return x


def everything(model, recorder, optimizer=None):
    probes = [
        Probe("*", "size", lambda module, inputs, output: output),
        Probe("0", "shape", lambda module, inputs, output, keywords: torch.tensor(float(output.sum().item()))),
    ]
    return watch(
        model,
        recorder,
        optimizer,
        attention=Attention(rows=1000, every=1),
        probes=probes,
        parameters={"0.project.weight": Parameter("weight", gradient=True, change_every=1)},
        rank=Rank("0.project.weight", every=1),
    )


def export(model, x, strict):
    return torch.export.export(model, (x,), strict=strict).graph_module.code


def script(model):
    scripted = torch.jit.script(model)
    return str(scripted.graph) + str(sorted(scripted.state_dict()))


def fake_step(model, x):
    with FakeTensorMode(allow_non_fake_inputs=True):
        loss = model(x).square().sum()
        return tuple(loss.shape)


def meta_step(model, x):
    other = copy.deepcopy(model).to("meta")
    other(x.to("meta")).sum().backward()


def flops(model, x):
    with FlopCounterMode(display=False) as counter:
        model(x).sum().backward()
    return counter.get_total_flops()


def jit_trace(model, x, **options):
    """Return the traced graph without the lines of code and the numbered names, which differ from call to call."""
    return re.sub(r"#.*|___torch_mangle_\d+\.", "", str(torch.jit.trace(model, x, **options).inlined_graph))


TRACES = {
    "export": lambda model, x: export(model, x, strict=False),
    "strict export": lambda model, x: export(model, x, strict=True),
    "trace": jit_trace,
    "trace without check": lambda model, x: jit_trace(model, x, check_trace=False),
    "script": lambda model, x: script(model),
    "fx": lambda model, x: torch.fx.symbolic_trace(model).code,
    "make_fx": lambda model, x: make_fx(model)(x).code,
    "fake": fake_step,
    "meta": meta_step,
}


def step(model, optimizer, handle=None):
    loss = model(torch.randn(2, 6, 8)).square().sum()
    if handle is not None:
        handle.log("loss", loss)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def train(recorder, trace, *, is_watched):
    """Trace the model before the first step and after the second one."""
    torch.manual_seed(3)
    model = nn.Sequential(SelfAttention(), nn.Linear(8, 8))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    handle = everything(model, recorder, optimizer) if is_watched else None
    results = []
    for number in range(4):
        if number in (0, 2):
            results.append(trace(model, torch.ones(2, 6, 8)))
        results.append(step(model, optimizer, handle))
    if handle is not None:
        assert handle.disabled == {}
        assert handle.notes == ()
        assert handle.step == 4
        handle.close()
    return results


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", TRACES)
def test_tracing_a_watched_model_gives_the_same_graph_and_losses(recorder, kind):
    expected = train(recorder, TRACES[kind], is_watched=False)
    assert recorder.names() == []
    assert train(recorder, TRACES[kind], is_watched=True) == expected
    for name in ("loss", "grad_norm_total", "attention_entropy/layer_0", "size/layer_1", "shape/layer_0"):
        assert set(recorder[name]) == set(range(4)), name
    assert recorder["loss"] == pytest.approx(dict(enumerate(x for x in expected if isinstance(x, float))))


@pytest.mark.filterwarnings("ignore")
def test_scripting_a_function_under_watch(recorder):
    def attend(query):
        return F.scaled_dot_product_attention(query, query, query)

    with watch(nn.Linear(2, 2), recorder):
        scripted = torch.jit.script(attend)
    x = torch.randn(1, 1, 3, 4)
    assert torch.equal(scripted(x), attend(x))


def test_flop_counter_counts_only_the_model(recorder):
    model, x = nn.Sequential(SelfAttention(), nn.Linear(8, 8)), torch.ones(2, 6, 8)
    expected = flops(model, x)
    with everything(model, recorder) as handle:
        assert flops(model, x) == expected
        handle.commit()
        assert handle.disabled == {}
    assert set(recorder["attention_entropy/layer_0"]) == {0}


def test_selective_checkpointing_recomputes_the_same_gradients(recorder):
    saved = [torch.ops.aten.mm.default, torch.ops.aten.bmm.default, torch.ops.aten.addmm.default]

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = SelfAttention()
            self.rest = nn.Linear(8, 8)

        def forward(self, x):
            return self.rest(torch.bmm(self.attention(x), torch.ones(2, 8, 8)).sin())

    model = nn.Sequential(Block())
    x = torch.randn(2, 6, 8)

    def gradients():
        model.zero_grad()
        contexts = lambda: create_selective_checkpoint_contexts(saved)  # noqa: E731
        checkpoint(model[0], x, use_reentrant=False, context_fn=contexts).square().sum().backward()
        return [parameter.grad.clone() for parameter in model.parameters()]

    expected = gradients()
    with watch(model, recorder, attention=Attention(rows=1000, every=1)) as handle:
        found = gradients()
        handle.commit()
        assert handle.disabled == {}
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert set(recorder["attention_entropy/layer_0"]) == {0}


def fake_tensor():
    with FakeTensorMode():
        return torch.ones(())


@pytest.mark.parametrize("value", [fake_tensor, lambda: torch.ones((), device="meta")])
def test_value_without_data_costs_only_itself(recorder, two_layers, value):
    probes = [Probe("layers.0", "bad", lambda *_: value()), Probe("layers.1", "good", lambda m, i, output: output)]
    with watch(two_layers, recorder, attention=None, probes=probes) as handle:
        for _ in range(2):
            two_layers(torch.ones(2, 6)).sum().backward()
            handle.log("fake", value())
            handle.log("loss", 2.0)
            handle.commit()
        assert handle.disabled == {}
    assert recorder["loss"] == {0: 2.0, 1: 2.0}
    assert set(recorder["good/layer_1"]) == set(recorder["grad_norm_total"]) == {0, 1}
    assert recorder["fake"] == recorder["bad/layer_0"] == {}


@pytest.mark.filterwarnings("ignore:Sparse CSR")
@pytest.mark.expects_warnings
def test_unusual_gradient_costs_only_its_norm_and_the_total(recorder):
    model = nn.Module()
    model.near, model.far = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3, 3))
    with watch(model, recorder, attention=None) as handle:
        for is_unusual in (True, False):
            weight = torch.eye(3).to_sparse_csr() if is_unusual else torch.eye(3)
            model.far = nn.Parameter(weight)
            model.near.grad, model.far.grad = torch.tensor([3.0, 4.0]), weight
            handle._recording._gradients.rescan()
            handle.commit()
        assert handle.disabled == {}
        assert len(handle.notes) == 1
        assert "gradient of far" in handle.notes[0]
    assert recorder["grad_norm/near"] == {0: 5.0, 1: 5.0}
    assert recorder["grad_norm_total"] == {1: pytest.approx(28**0.5)}


@pytest.mark.expects_warnings
def test_logger_that_raises_once_loses_one_step(recorder, two_layers):
    log_array, calls = recorder.log_array, []

    def fails_once(*arguments):
        calls.append(1)
        if len(calls) == 1:
            raise OSError("disk")
        log_array(*arguments)

    recorder.log_array = fails_once
    with watch(two_layers, recorder, attention=None, gradients=False) as handle:
        for _ in range(3):
            handle.log("loss", 1.0)
            handle.commit()
        assert any("disk" in note for note in handle.notes)
        assert handle.disabled == {}
    assert recorder["loss"] == {1: 1.0, 2: 1.0}
