"""Recorded gradient norms are those before clipping, however the program imports its clipping function."""

import sys
import types

import pytest

torch = pytest.importorskip("torch")

from holter.torch import watch  # noqa: E402


def test_norms_are_measured_before_clip_function_imported_early(recorder, two_layers):
    early = torch.nn.utils.clip_grad_norm_
    optimizer = torch.optim.SGD(two_layers.parameters(), lr=0.1)
    with watch(two_layers, recorder, optimizer) as handle:
        two_layers(torch.ones(2, 6)).sum().backward()
        norm = float(two_layers.layers[0].weight.grad.double().norm())
        total = early(two_layers.parameters(), 0.01)
        optimizer.step()
        assert handle.notes == ()
    assert recorder["grad_norm/layers.0.weight"] == {0: pytest.approx(norm, rel=1e-5)}
    assert recorder["grad_norm_total"] == {0: pytest.approx(float(total), rel=1e-5)}
    assert recorder["grad_norm_may_be_clipped"] == {}


def test_norms_are_measured_before_clipping_by_value(recorder, two_layers):
    with watch(two_layers, recorder) as handle:
        two_layers(torch.ones(2, 6)).sum().backward()
        norm = float(two_layers.layers[0].weight.grad.double().norm())
        torch.nn.utils.clip_grad_value_(two_layers.parameters(), 1e-3)
        handle.commit()
    assert float(two_layers.layers[0].weight.grad.abs().max()) <= 1.001e-3
    assert recorder["grad_norm/layers.0.weight"] == {0: pytest.approx(norm, rel=1e-5)}


@pytest.mark.expects_warnings
def test_unobserved_clip_function_is_warned_about_once(recorder, two_layers, caplog, monkeypatch):
    program = types.ModuleType("a_users_program")
    program.clip_grad_value_ = torch.nn.utils.clip_grad_value_
    monkeypatch.setitem(sys.modules, "a_users_program", program)
    with watch(two_layers, recorder) as handle:
        for _ in range(2):
            two_layers(torch.ones(2, 6)).sum().backward()
            handle.commit()
        assert len(handle.notes) == 1
        assert "a_users_program.clip_grad_value_" in handle.notes[0]
    assert [record.getMessage() for record in caplog.records if record.name == "holter.torch"] == list(handle.notes)
    assert recorder["grad_norm_may_be_clipped"] == {0: 1.0}


@pytest.mark.expects_warnings
def test_torch_clips_if_the_watch_fails_to(recorder, two_layers, monkeypatch):
    def fail(*_arguments, **_keywords):
        raise MemoryError("out of memory")

    with watch(two_layers, recorder) as handle:
        monkeypatch.setattr("holter.torch._gradients.norms", fail)
        for _ in range(2):
            two_layers.zero_grad()
            two_layers(torch.ones(2, 6)).sum().backward()
            norm = torch.nn.utils.get_total_norm([parameter.grad for parameter in two_layers.parameters()])
            assert torch.equal(handle.clip_grad_norm_(0.01), norm)
            assert float(two_layers.layers[0].weight.grad.norm()) <= 0.01
            handle.commit()
        assert "clipping" in handle.disabled
    assert recorder.names("grad_norm/") == []


def test_clipping_reads_gradients_once(recorder, monkeypatch):
    model = torch.nn.Linear(400, 400)
    read = []
    original = torch._foreach_norm

    def counted(tensors, *args, **kwargs):
        read.append(sum(tensor.numel() for tensor in tensors))
        return original(tensors, *args, **kwargs)

    monkeypatch.setattr(torch, "_foreach_norm", counted)
    with watch(model, recorder) as handle:
        model(torch.randn(2, 400)).square().sum().backward()
        norm = float(model.weight.grad.double().norm())
        handle.clip_grad_norm_(1.0)
        handle.commit()
    assert recorder["grad_norm/weight"] == {0: pytest.approx(norm, rel=1e-5)}
    assert sum(read) == 400 * 401


@pytest.mark.parametrize("clips", ["torch", "the first watch", "the second watch"])
def test_every_watch_records_norms_before_clipping(recorder, two_layers, clips):
    """Two watches follow parts of a model, a third follows all of it."""
    recorders = [recorder, type(recorder)(), type(recorder)()]
    models = [two_layers.layers[0], two_layers.layers[1], two_layers]
    handles = [watch(model, recorder) for model, recorder in zip(models, recorders, strict=True)]
    two_layers(torch.randn(5, 6)).square().sum().backward()
    norms = [torch.stack([p.grad.norm() for p in model.parameters()]).norm().item() for model in models]
    if clips == "torch":
        total = torch.nn.utils.clip_grad_norm_(two_layers.parameters(), 0.01)
    else:
        total = handles[clips == "the second watch"].clip_grad_norm_(0.01, two_layers.parameters())
    for handle in handles:
        handle.commit()
        handle.close()
    assert total.item() == pytest.approx(norms[2], rel=1e-6)
    assert [recorder["grad_norm_total"][0] for recorder in recorders] == pytest.approx(norms, rel=1e-6)
    assert torch.stack([p.grad.norm() for p in two_layers.parameters()]).norm().item() == pytest.approx(0.01, rel=1e-3)
