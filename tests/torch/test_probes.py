"""Probes of any module: inputs, reduction of results, and failures."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

import holter  # noqa: E402
from holter.torch import Probe, Ratio, emit, watch  # noqa: E402


class Memory(nn.Module):
    """Returns the value read and the new state, like a memory module."""

    def forward(self, x, state=None):
        written = x.mean() * torch.ones(3, 3)
        return x * 2.0, {"state": written, "none": None}


class Model(nn.Module):
    def __init__(self, layers=2):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.blocks = nn.ModuleList(Memory() for _ in range(layers))

    def forward(self, x):
        for block in self.blocks:
            x = block(x * self.scale, state=None)[0]
        return x


def test_norms_and_ratio(recorder):
    probes = [
        Probe("blocks.*", "memory_read_norm", lambda module, inputs, output: output[0]),
        Probe("blocks.*", "memory_write_norm", lambda module, inputs, output: output[1]),
        Ratio("memory_rw_ratio", "memory_read_norm", "memory_write_norm"),
    ]
    model, x = Model(), torch.rand(4, 5) + 0.5
    with watch(model, recorder, attention=None, probes=probes) as handle:
        model(x).sum().backward()
        handle.commit(3)
    for layer in range(2):
        read, write = x.double() * 2 ** (layer + 1), x.double().mean() * 2**layer * torch.ones(3, 3)
        assert recorder[f"memory_read_norm/layer_{layer}"] == {3: pytest.approx(float(read.norm()), rel=1e-6)}
        assert recorder[f"memory_write_norm/layer_{layer}"] == {3: pytest.approx(float(write.norm()), rel=1e-6)}
        ratio = float(read.norm()) / (float(write.norm()) + 1e-10)
        assert recorder[f"memory_rw_ratio/layer_{layer}"] == {3: pytest.approx(ratio, rel=1e-6)}


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (torch.tensor(-3.0), -3.0),
        (torch.tensor([3.0, 4.0]), 5.0),
        ((torch.tensor([3.0]), torch.tensor([[4.0]])), 5.0),
        ({"a": torch.tensor([3.0]), "b": [torch.tensor(4.0), None]}, 5.0),
        ((torch.full((100,), 1000.0, dtype=torch.float16), torch.tensor([0.0])), 10_000.0),
        (torch.tensor([3, 4]), 5.0),
        (torch.tensor([3.0 + 4.0j]), 5.0),
        (torch.tensor(2.0, dtype=torch.bfloat16), 2.0),
        (torch.tensor([]), 0.0),
        (torch.tensor([float("nan")]), None),
    ],
)
def test_reduction_of_probe_results(recorder, result, expected):
    model = nn.Sequential(nn.Identity())
    with watch(model, recorder, attention=None, probes=[Probe("0", "m", lambda *_: result)]) as handle:
        model(torch.ones(1))
        handle.commit()
    value = recorder["m/layer_0"][0]
    assert value != value if expected is None else value == pytest.approx(expected)  # noqa: PLR0124


def test_none_records_nothing(recorder):
    model = nn.Sequential(nn.Identity())
    with watch(model, recorder, attention=None, probes=[Probe("0", "m", lambda *_: None)]) as handle:
        model(torch.ones(1))
        handle.commit()
        assert handle.disabled == {}
    assert recorder.names("m/") == []


def test_fourth_parameter_receives_keyword_arguments(recorder):
    model = Model(layers=1)
    probe = Probe("blocks.0", "m", lambda module, inputs, output, keywords: torch.tensor(float("state" in keywords)))
    with watch(model, recorder, attention=None, probes=[probe]) as handle:
        model(torch.ones(1))
        handle.commit()
    assert recorder["m/layer_0"] == {0: 1.0}


def test_path_is_the_label_if_the_layer_number_is_not_unique(recorder):
    model = nn.ModuleDict({"encoder": nn.Sequential(nn.Identity()), "decoder": nn.Sequential(nn.Identity())})
    with watch(model, recorder, attention=None, probes=[Probe("*coder.0", "m", lambda m, i, o: o)]) as handle:
        model["encoder"](torch.ones(1))
        model["decoder"](torch.ones(1))
        handle.commit()
    assert recorder.names("m/") == ["m/decoder.0", "m/encoder.0"]


def test_pattern_that_matches_nothing_raises(recorder):
    with pytest.raises(ValueError, match=r"'block\.\*'.*blocks, blocks\.0, blocks\.1"):
        watch(Model(), recorder, probes=[Probe("block.*", "m", lambda m, i, o: o)])


def test_every_argument_and_first_micro_batch(recorder):
    model = nn.Sequential(nn.Identity())
    probe = Probe("0", "m", lambda module, inputs, output: output)
    with watch(model, recorder, attention=None, every=2, probes=[probe]) as handle:
        for step in range(4):
            model(torch.tensor(step * 1.0))
            model(torch.tensor(99.0))
            handle.commit(step)
    assert recorder["m/layer_0"] == {0: 0.0, 2: 2.0}


def test_evaluation_is_not_recorded(recorder):
    model = nn.Sequential(nn.Identity())
    with watch(model, recorder, attention=None, probes=[Probe("0", "m", lambda m, i, o: o)]) as handle:
        with torch.no_grad():
            model(torch.ones(1))
        model.eval()(torch.ones(1))
        handle.commit()
    assert recorder.names("m/") == []


def test_torch_func_transforms_are_not_recorded(recorder):
    """Tensors inside torch.func are batched wrappers that must not outlive the call."""
    model = nn.Sequential(nn.Linear(3, 3), Emitting())
    probe = Probe("*", "m", lambda module, inputs, output: output)

    def loss(parameters, x):
        return torch.func.functional_call(model, parameters, (x,)).sum()

    with watch(model, recorder, attention=None, probes=[probe]) as handle:
        gradients = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(
            dict(model.named_parameters()), torch.ones(4, 3)
        )
        assert len(gradients) == 2
        handle.commit()
        model(torch.ones(3)).sum().backward()
        handle.commit()
        assert handle.disabled == {}
    assert set(recorder["m/layer_0"]) == set(recorder["inner/layer_1"]) == {1}


@pytest.mark.expects_warnings
def test_probe_that_raises_is_disabled_and_reported_once(recorder, caplog):
    calls = []

    def fails(module, inputs, output):
        calls.append(1)
        raise KeyError("no such key")

    model = nn.Sequential(nn.Linear(2, 2))
    probes = [Probe("0", "bad", fails), Probe("0", "good", lambda m, i, o: o), Probe("0", "text", lambda *_: "text")]
    with watch(model, recorder, attention=None, probes=probes) as handle:
        for _ in range(3):
            model(torch.ones(2)).sum().backward()
            handle.commit()
        assert handle.disabled == {
            "probe bad/layer_0": "KeyError: 'no such key'",
            "probe text/layer_0": "TypeError: a probe must return tensors or None, not str",
        }
    assert len(calls) == 1
    assert len([record for record in caplog.records if record.name == "holter.torch"]) == 2
    assert set(recorder["good/layer_0"]) == {0, 1, 2}


class Emitting(nn.Module):
    def forward(self, x):
        emit(self, "inner", x * 3.0)
        emit(self, "number", x.sum())
        return x


def test_emit_inside_a_forward(recorder):
    model = nn.Sequential(Emitting(), nn.Sequential(Emitting()))
    x = torch.tensor([1.0, -2.0, 2.0])
    model(x)
    with watch(model, recorder, attention=None) as handle:
        model(x)
        handle.commit()
        model.eval()(x)
        handle.commit()
    model.train()(x)
    assert recorder["inner/layer_0"] == {0: pytest.approx(9.0)}
    assert recorder["number/layer_1"] == {0: 1.0}
    assert recorder.names() == ["inner/layer_0", "inner/layer_1", "number/layer_0", "number/layer_1"]


class EmittingBadly(nn.Module):
    def forward(self, x):
        emit(self, "no\0name", x)
        emit(self, "good", x)
        return x


@pytest.mark.expects_warnings
def test_invalid_metric_name_disables_only_its_emit(tmp_path):
    model = nn.Sequential(nn.Linear(2, 2), EmittingBadly())
    with holter.Logger(tmp_path / "run") as logger, watch(model, logger, attention=None) as handle:
        with pytest.raises(ValueError, match="NUL"):
            handle.log("no\0name", 1.0)
        for _ in range(2):
            model(torch.ones(2)).sum().backward()
            handle.commit()
        assert list(handle.disabled) == ["emit of no\0name/layer_1"]
    names = {series.name for series in holter.open_run(tmp_path / "run").facts()}
    assert {"good/layer_1", "grad_norm_total"} < names


def test_emitters_with_the_same_layer_number_get_distinct_names(recorder):
    model = nn.ModuleDict({"a": nn.Sequential(Emitting()), "b": nn.Sequential(Emitting())})
    with watch(model, recorder, attention=None) as handle:
        for part in ("a", "b"):
            model[part](torch.ones(1))
        handle.commit()
    assert recorder.names("inner/") == ["inner/b.0", "inner/layer_0"]


def test_probe_norm_of_a_packed_sequence_is_that_of_its_data(recorder):
    packed = nn.utils.rnn.pack_sequence([torch.tensor([0.3, 0.4]), torch.tensor([0.7])])
    model = nn.Sequential(nn.Identity())
    with watch(model, recorder, attention=None, probes=[Probe("0", "m", lambda m, i, output: output)]) as handle:
        model(packed)
        handle.commit()
    assert recorder["m/layer_0"] == {0: pytest.approx((0.09 + 0.16 + 0.49) ** 0.5)}


@pytest.mark.expects_warnings
def test_probe_with_a_complex_number_is_an_error_that_names_it(recorder):
    model = nn.Sequential(nn.Identity())
    probes = [Probe("0", "bad", lambda *_: torch.tensor(3.0 + 4.0j)), Probe("0", "good", lambda *_: torch.tensor(1.0))]
    with watch(model, recorder, attention=None, probes=probes) as handle:
        model(torch.ones(1))
        handle.commit()
        assert list(handle.disabled) == ["probe bad/layer_0"]
        assert "real numbers" in handle.disabled["probe bad/layer_0"]
    assert recorder.names("bad/") == []
    assert recorder["good/layer_0"] == {0: 1.0}
