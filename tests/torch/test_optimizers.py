"""Steps of several optimizers, closures and gradient scalers: which gradients belong to which step."""

import pytest

torch = pytest.importorskip("torch")

from gradient_reference import expect_norms, gradient_norms  # noqa: E402
from holter.torch import Parameter, watch  # noqa: E402


def backward(model, factor=1.0, rows=4) -> None:
    (model(torch.randn(rows, 6)).square().mean() * factor).backward()


def test_several_optimizers_share_a_step(recorder, two_layers):
    first = torch.optim.SGD(two_layers.layers[0].parameters(), lr=0.1)
    second = torch.optim.Adam(two_layers.layers[1].parameters(), lr=0.1)
    with watch(two_layers, recorder, [first, second], attention=None):
        for step in range(2):
            two_layers.zero_grad()
            backward(two_layers)
            norms = gradient_norms(two_layers)
            first.step()
            second.step()
            expect_norms(recorder, step, norms)


def test_second_step_of_an_optimizer_begins_a_new_step(recorder, two_layers):
    first = torch.optim.SGD(two_layers.layers[0].parameters(), lr=0.1)
    second = torch.optim.SGD(two_layers.layers[1].parameters(), lr=0.1)
    backward(two_layers)
    with watch(two_layers, recorder, [first, second], attention=None):
        first.step()
        first.step()
        second.step()
    assert set(recorder["grad_norm/layers.0.weight"]) == {0, 1}
    assert set(recorder["grad_norm/layers.1.weight"]) == {1}


def test_gradients_are_measured_after_the_closure(recorder, two_layers):
    optimizer = torch.optim.SGD(two_layers.parameters(), lr=0.0)
    inputs = torch.randn(4, 6)

    def closure():
        optimizer.zero_grad()
        loss = two_layers(inputs).square().mean()
        loss.backward()
        return loss

    with watch(two_layers, recorder, optimizer, attention=None):
        optimizer.step(closure)
    expect_norms(recorder, 0, gradient_norms(two_layers))


@pytest.mark.parametrize("clips", [False, True])
def test_lbfgs_with_many_closure_evaluations_is_one_step(recorder, two_layers, clips):
    optimizer = torch.optim.LBFGS(two_layers.parameters(), lr=0.1, max_iter=4)
    inputs, evaluations, norms = torch.randn(4, 6), [], []

    def closure():
        optimizer.zero_grad()
        loss = two_layers(inputs).square().mean()
        loss.backward()
        norms.append(gradient_norms(two_layers))
        if clips:
            torch.nn.utils.clip_grad_norm_(two_layers.parameters(), 0.01)
        evaluations.append(1)
        return loss

    with watch(two_layers, recorder, optimizer, attention=None):
        for _ in range(2):
            optimizer.step(closure)
    assert len(evaluations) > 4
    assert set(recorder["grad_norm_total"]) == {0, 1}
    expect_norms(recorder, 1, norms[len(evaluations) // 2] if clips else norms[-1])


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_step_has_no_norms_if_any_optimizer_is_skipped(recorder, two_layers, order):
    optimizers = [torch.optim.SGD(layer.parameters(), lr=0.1) for layer in two_layers.layers]
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    with watch(two_layers, recorder, optimizers, attention=None):
        for step in range(3):
            two_layers.zero_grad()
            scaler.scale(two_layers(torch.randn(4, 6)).square().mean()).backward()
            if step == 1:
                two_layers.layers[0].weight.grad.fill_(float("inf"))
            for which in order:
                scaler.step(optimizers[which])
            scaler.update()
    assert recorder["optimizer_step_skipped"] == {1: 1.0}
    assert set(recorder["grad_norm_total"]) == set(recorder["grad_norm/layers.1.weight"]) == {0, 2}


@pytest.mark.parametrize("fused", [False, True])
def test_scaler_factor_is_removed_from_norms(recorder, two_layers, fused):
    optimizer = torch.optim.AdamW(two_layers.parameters(), lr=1e-3, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    inputs = torch.randn(4, 6)
    two_layers(inputs).square().mean().backward()
    norms = gradient_norms(two_layers)
    optimizer.zero_grad()
    followed = {"layers.0.bias": Parameter("bias", gradient=True)}
    with watch(two_layers, recorder, optimizer, attention=None, parameters=followed):
        scaler.scale(two_layers(inputs).square().mean()).backward()
        bias_gradient = float(two_layers.layers[0].bias.grad.mean()) / 1024.0
        scaler.step(optimizer)
        scaler.update()
    expect_norms(recorder, 0, norms, tolerance=1e-5)
    assert recorder["bias_grad/layer_0"][0] == pytest.approx(bias_gradient, rel=1e-5)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("clip", [False, True])
def test_skipped_step_is_marked_and_has_no_norms(recorder, two_layers, fused, clip):
    optimizer = torch.optim.AdamW(two_layers.parameters(), lr=1e-3, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    followed = {"layers.0.bias": Parameter("bias", gradient=True)}
    with watch(two_layers, recorder, optimizer, attention=None, parameters=followed) as handle:
        for step in range(3):
            optimizer.zero_grad()
            scaler.scale(two_layers(torch.randn(4, 6)).square().mean()).backward()
            if step == 1:
                two_layers.layers[0].weight.grad.fill_(float("inf"))
            if clip:
                scaler.unscale_(optimizer)
                handle.clip_grad_norm_(1.0)
            scaler.step(optimizer)
            scaler.update()
    assert recorder["optimizer_step_skipped"] == {1: 1.0}
    assert set(recorder["grad_norm_total"]) == {0, 2}
    assert set(recorder["bias/layer_0"]) == {0, 1, 2}
    assert set(recorder["bias_grad/layer_0"]) == {0, 2}


def test_invalid_step_and_optimizer_raise(recorder, two_layers):
    with watch(two_layers, recorder, attention=None) as handle:
        with pytest.raises(TypeError, match="step must be an int"):
            handle.commit("3")
        with pytest.raises(TypeError, match="optimizer must be"):
            watch(two_layers, recorder, two_layers)
