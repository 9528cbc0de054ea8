"""Recorded parameters: values of the forward pass, gradients, transforms and changes."""

import math

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from holter.torch import Parameter, watch  # noqa: E402


class Mixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Module() for _ in range(2))
        for index, block in enumerate(self.blocks):
            block.alpha_logit = nn.Parameter(torch.tensor(0.5 + index))
            block.matrix = nn.Parameter(torch.randn(3, 4))

    def forward(self):
        return sum(block.alpha_logit**2 + block.matrix.square().sum() for block in self.blocks)


def test_transformed_value_and_gradient(recorder):
    model = Mixed()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    follow = {"*.alpha_logit": Parameter("m3_alpha", transform="sigmoid", gradient=True)}
    with watch(model, recorder, optimizer, attention=None, parameters=follow):
        for step in range(3):
            values = [block.alpha_logit.item() for block in model.blocks]
            optimizer.zero_grad()
            model().backward()
            optimizer.step()
            for layer, value in enumerate(values):
                sigmoid = 1.0 / (1.0 + math.exp(-value))
                assert recorder[f"m3_alpha/layer_{layer}"][step] == pytest.approx(sigmoid, rel=1e-6)
                assert recorder[f"m3_alpha_grad/layer_{layer}"][step] == pytest.approx(2.0 * value, rel=1e-6)


@pytest.mark.parametrize(
    ("transform", "function"),
    [
        (None, lambda x: x),
        ("tanh", torch.tanh),
        ("exp", torch.exp),
        ("softplus", nn.functional.softplus),
        ("sigmoid", torch.sigmoid),
    ],
)
def test_transforms_of_scalar_and_matrix_parameters(recorder, transform, function):
    model = Mixed()
    follow = {
        "*.0.alpha_logit": Parameter("one", transform=transform),
        "*.0.matrix": Parameter("many", transform=transform),
    }
    with watch(model, recorder, attention=None, parameters=follow) as handle:
        handle.commit()
    block = model.blocks[0]
    assert recorder["one/layer_0"][0] == pytest.approx(function(block.alpha_logit.double()).item(), rel=1e-6)
    assert recorder["many/layer_0"][0] == pytest.approx(function(block.matrix.double()).mean().item(), rel=1e-5)


def test_gradient_is_absent_if_the_parameter_has_none(recorder):
    model = Mixed()
    with watch(model, recorder, attention=None, parameters={"*.alpha_logit": Parameter("a", gradient=True)}) as handle:
        handle.commit()
        model().backward()
        model.blocks[1].alpha_logit.grad = None
        handle.commit()
    assert set(recorder["a/layer_0"]) == {0, 1}
    assert set(recorder["a_grad/layer_0"]) == {1}
    assert recorder["a_grad/layer_1"] == {}


def test_change_since_previous_record(recorder):
    model = Mixed()
    follow = {"*.matrix": Parameter("m", value=False, change_every=2)}
    seen = []
    with watch(model, recorder, attention=None, parameters=follow) as handle:
        for step in range(5):
            seen.append(model.blocks[0].matrix.detach().double().clone())
            handle.commit(step)
            with torch.no_grad():
                model.blocks[0].matrix.add_(torch.randn(3, 4))
    for step in (2, 4):
        change, before = float((seen[step] - seen[step - 2]).norm()), float(seen[step - 2].norm())
        assert recorder["m_change/layer_0"][step] == pytest.approx(change, rel=1e-5)
        assert recorder["m_rel_change/layer_0"][step] == pytest.approx(change / before, rel=1e-5)
    assert recorder["m_change/layer_1"] == {2: 0.0, 4: 0.0}
    assert recorder.names("m/") == []


def test_invalid_settings_raise(recorder):
    with pytest.raises(ValueError, match="transform must be"):
        Parameter("x", transform="sine")
    with pytest.raises(ValueError, match="every must be"):
        Parameter("x", change_every=-1)
    with pytest.raises(ValueError, match="no parameter name matches"):
        watch(Mixed(), recorder, parameters={"*.beta": Parameter("x")})


def test_complex_parameter_is_rejected_by_name(recorder):
    model = nn.Module()
    model.phase = nn.Parameter(torch.tensor(1.0 + 2.0j))
    with pytest.raises(ValueError, match="'phase' is complex"):
        watch(model, recorder, parameters={"phase": Parameter("phase")})
