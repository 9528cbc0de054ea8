"""Gradient norms against float64 references, measured at the right moment of the step in common training setups."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from gradient_reference import expect_norms, gradient_norms  # noqa: E402
from holter.torch import Parameter, watch  # noqa: E402


def backward(model, factor=1.0, rows=4) -> None:
    (model(torch.randn(rows, 6)).square().mean() * factor).backward()


def test_every_parameter_and_the_total_are_recorded_at_every_step(recorder, two_layers):
    optimizer = torch.optim.SGD(two_layers.parameters(), lr=0.1)
    with watch(two_layers, recorder, optimizer, attention=None):
        for step in range(3):
            optimizer.zero_grad()
            backward(two_layers)
            norms = gradient_norms(two_layers)
            optimizer.step()
            expect_norms(recorder, step, norms)
    assert recorder.names("grad_norm/") == sorted(f"grad_norm/{name}" for name, _ in two_layers.named_parameters())


def test_commit_uses_the_given_step_numbers(recorder, two_layers):
    with watch(two_layers, recorder, attention=None) as handle:
        for step in (7, 9):
            two_layers.zero_grad()
            backward(two_layers)
            handle.commit(step)
            expect_norms(recorder, step, gradient_norms(two_layers))
        assert handle.step == 10
    assert set(recorder["grad_norm_total"]) == {7, 9}


def test_step_can_be_set_after_a_resume(recorder, two_layers):
    optimizer = torch.optim.SGD(two_layers.parameters(), lr=0.1)
    with watch(two_layers, recorder, optimizer, attention=None) as handle:
        handle.step = 1000
        backward(two_layers)
        optimizer.step()
        optimizer.step()
    assert set(recorder["grad_norm_total"]) == {1000, 1001}


def test_watch_clips_like_torch_and_records_norms_before_clipping(recorder, two_layers):
    optimizer = torch.optim.SGD(two_layers.parameters(), lr=0.1)
    with watch(two_layers, recorder, optimizer, attention=None) as handle:
        backward(two_layers, factor=100.0)
        norms = gradient_norms(two_layers)
        unclipped = [parameter.grad.clone() for parameter in two_layers.parameters()]
        total = handle.clip_grad_norm_(0.5)
        clipped = [parameter.grad.clone() for parameter in two_layers.parameters()]
        for parameter, gradient in zip(two_layers.parameters(), unclipped, strict=True):
            parameter.grad = gradient
        expected = torch.nn.utils.clip_grad_norm_(two_layers.parameters(), 0.5)
        assert torch.equal(total, expected)
        assert all(torch.equal(a, p.grad) for a, p in zip(clipped, two_layers.parameters(), strict=True))
        optimizer.step()
    expect_norms(recorder, 0, norms)


@pytest.mark.parametrize("norm_type", [2.0, 1.0, float("inf")])
@pytest.mark.parametrize("gradients", [True, False])
def test_torch_clipping_is_unchanged_and_norms_are_measured_before_it(recorder, two_layers, norm_type, gradients):
    optimizer = torch.optim.SGD(two_layers.parameters(), lr=0.1)
    backward(two_layers, factor=100.0)
    unclipped = [parameter.grad.clone() for parameter in two_layers.parameters()]
    norms = gradient_norms(two_layers)
    bias_gradient = two_layers.layers[0].bias.grad.mean().item()
    total = torch.nn.utils.clip_grad_norm_(two_layers.parameters(), 0.5, norm_type)
    clipped = [parameter.grad.clone() for parameter in two_layers.parameters()]
    for parameter, gradient in zip(two_layers.parameters(), unclipped, strict=True):
        parameter.grad = gradient
    followed = {"layers.0.bias": Parameter("bias", gradient=True)}
    with watch(two_layers, recorder, optimizer, attention=None, gradients=gradients, parameters=followed):
        assert torch.equal(torch.nn.utils.clip_grad_norm_(two_layers.parameters(), 0.5, norm_type), total)
        assert all(torch.equal(a, p.grad) for a, p in zip(clipped, two_layers.parameters(), strict=True))
        optimizer.step()
    if gradients:
        expect_norms(recorder, 0, norms)
    else:
        assert recorder.names("grad_norm") == []
    assert recorder["bias_grad/layer_0"][0] == pytest.approx(bias_gradient, rel=1e-6)


def test_error_if_nonfinite_raises(recorder, two_layers):
    with watch(two_layers, recorder, attention=None) as handle:
        backward(two_layers, factor=float("inf"))
        with pytest.raises(RuntimeError, match="total norm"):
            handle.clip_grad_norm_(1.0, error_if_nonfinite=True)
        assert not torch.isfinite(handle.clip_grad_norm_(1.0))


def test_nan_and_inf_norms_are_recorded(recorder, two_layers):
    with watch(two_layers, recorder, attention=None) as handle:
        backward(two_layers)
        two_layers.layers[0].weight.grad[0, 0] = float("nan")
        two_layers.layers[1].weight.grad[0, 0] = float("inf")
        handle.commit()
    assert torch.isnan(torch.tensor(recorder["grad_norm/layers.0.weight"][0]))
    assert recorder["grad_norm/layers.1.weight"][0] == float("inf")
    assert recorder["grad_norm/layers.1.bias"][0] < float("inf")


def test_norm_is_absent_without_a_gradient(recorder, two_layers):
    with watch(two_layers, recorder, attention=None) as handle:
        backward(two_layers)
        handle.commit()
        two_layers.layers[0].weight.grad = None
        handle.commit()
        two_layers.zero_grad()
        handle.commit()
    assert set(recorder["grad_norm/layers.0.weight"]) == {0}
    assert set(recorder["grad_norm/layers.1.weight"]) == {0, 1}
    assert set(recorder["grad_norm_total"]) == {0, 1}


def test_accumulated_gradients_are_measured_once(recorder, two_layers):
    optimizer = torch.optim.SGD(two_layers.parameters(), lr=0.1)
    with watch(two_layers, recorder, optimizer, attention=None):
        for _ in range(3):
            backward(two_layers)
        norms = gradient_norms(two_layers)
        optimizer.step()
    expect_norms(recorder, 0, norms)
    assert set(recorder["grad_norm_total"]) == {0}


def test_tied_weight_has_one_name(recorder):
    model = nn.Module()
    model.embedding, model.head = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)
    model.head.weight = model.embedding.weight
    with watch(model, recorder, attention=None) as handle:
        model.head(model.embedding(torch.tensor([1, 2]))).sum().backward()
        handle.commit()
        expect_norms(recorder, 0, gradient_norms(model))
    assert recorder.names("grad_norm/") == ["grad_norm/embedding.weight"]


def test_sparse_gradient_norm(recorder):
    model = nn.Embedding(10, 3, sparse=True)
    with watch(model, recorder, attention=None) as handle:
        model(torch.tensor([1, 2, 2, 7])).square().sum().backward()
        assert model.weight.grad.is_sparse
        handle.commit()
    assert recorder["grad_norm/weight"][0] == pytest.approx(gradient_norms(model)["weight"], rel=1e-6)


@pytest.mark.parametrize("dense_dim", [0, 1])
def test_sparse_gradient_norm_with_repeated_indices(recorder, dense_dim):
    model, shape = nn.Module(), (4, 5, 3)[: 2 + dense_dim]
    model.weight = nn.Parameter(torch.zeros(shape))

    def sparse(indices):
        values = torch.randn(indices.shape[1], *shape[2:])
        return torch.sparse_coo_tensor(indices, values, shape, check_invariants=True)

    with watch(model, recorder, attention=None) as handle:
        for indices in (torch.tensor([[0, 3, 0, 3, 1, 0], [1, 4, 1, 4, 2, 2]]), torch.zeros(2, 0, dtype=torch.int64)):
            model.weight.grad = sparse(indices)
            handle.commit()
            norm = gradient_norms(model)["weight"]
            assert recorder["grad_norm/weight"][handle.step - 1] == pytest.approx(norm, rel=1e-6)
    assert recorder["grad_norm/weight"][1] == 0.0


def test_half_precision_is_accumulated_in_float32(recorder):
    model = nn.Module()
    for name, dtype in (("fp16", torch.float16), ("bf16", torch.bfloat16), ("fp64", torch.float64)):
        parameter = nn.Parameter(torch.zeros(2_000_000, dtype=dtype))
        parameter.grad = torch.full_like(parameter, 100.0)
        setattr(model, name, parameter)
    with watch(model, recorder, attention=None) as handle:
        handle.commit()
    expect_norms(recorder, 0, gradient_norms(model), tolerance=1e-4)
    assert recorder["grad_norm/fp16"][0] == pytest.approx(100.0 * 2_000_000**0.5, rel=1e-4)


def test_large_gradient_norm_is_precise(recorder):
    model = nn.Module()
    model.embedding = nn.Parameter(torch.zeros(20_000_000))
    model.embedding.grad = torch.rand(20_000_000)
    with watch(model, recorder, attention=None) as handle:
        handle.commit()
    assert recorder["grad_norm/embedding"][0] == pytest.approx(gradient_norms(model)["embedding"], rel=1e-4)


def test_include_and_exclude_do_not_affect_the_total(recorder, two_layers):
    with watch(two_layers, recorder, attention=None, include="layers.*", exclude=["*.bias"]) as handle:
        backward(two_layers)
        handle.commit()
    assert recorder.names("grad_norm/") == ["grad_norm/layers.0.weight", "grad_norm/layers.1.weight"]
    total = sum(norm**2 for norm in gradient_norms(two_layers).values()) ** 0.5
    assert recorder["grad_norm_total"][0] == pytest.approx(total, rel=1e-6)


def test_every_and_gradients_arguments(recorder, two_layers):
    with watch(two_layers, recorder, attention=None, every=5) as handle:
        backward(two_layers)
        for step in range(11):
            handle.clip_grad_norm_(1e9)
            handle.commit(step)
    assert set(recorder["grad_norm_total"]) == {0, 5, 10}
    with watch(two_layers, recorder, attention=None, gradients=False) as handle:
        handle.clip_grad_norm_(1e9)
        handle.commit(100)
    assert 100 not in recorder["grad_norm_total"]


def test_parameters_added_later_are_recorded(recorder, two_layers):
    optimizer = torch.optim.SGD(two_layers.parameters(), lr=0.0)
    with watch(two_layers, recorder, optimizer, attention=None):
        backward(two_layers)
        optimizer.step()
        two_layers.layers[0].register_parameter("adapter", nn.Parameter(torch.ones(3)))
        two_layers.layers[0].adapter.grad = torch.ones(3)
        optimizer.add_param_group({"params": [two_layers.layers[0].adapter]})
        optimizer.step()
    assert recorder["grad_norm/layers.0.adapter"] == {1: pytest.approx(3**0.5)}
