"""Functions that other code replaces before or during a watch: they run, and the training is unchanged."""

import functools

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

from holter.torch import Attention, watch  # noqa: E402

EVERY_ROW = Attention(rows=1000, every=1)


class SelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.project = nn.Linear(8, 24)

    def forward(self, x):
        query, key, value = self.project(x).unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        return F.scaled_dot_product_attention(query, key, value, is_causal=True).transpose(1, 2).flatten(2)


def train(recorder, *, is_watched, steps=4):
    torch.manual_seed(1)
    model = nn.Sequential(SelfAttention(), SelfAttention())
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    handle = watch(model, recorder, optimizer, attention=EVERY_ROW) if is_watched else None
    losses = []
    for _ in range(steps):
        loss = model(torch.randn(2, 6, 8)).square().sum()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        torch.nn.utils.clip_grad_value_(model.parameters(), 0.1)
        optimizer.step()
        losses.append(loss.item())
    if handle is not None:
        assert handle.disabled == {}
        handle.close()
    return losses


def halving(function):
    """Return a wrapper that halves all gradients after clipping, and counts its calls."""

    @functools.wraps(function)
    def mine(parameters, max_norm):
        mine.calls += 1
        parameters = list(parameters)
        result = function(parameters, max_norm)
        for parameter in parameters:
            parameter.grad.mul_(0.5)
        return result

    mine.calls = 0
    return mine


@pytest.mark.parametrize("name", ["clip_grad_norm_", "clip_grad_value_"])
@pytest.mark.parametrize("kind", ["wrapper", "wrapper of an earlier watch's function", "own arithmetic"])
def test_clipping_function_replaced_before_the_watch_runs(recorder, monkeypatch, name, kind):
    function = getattr(torch.nn.utils, name)
    if kind.endswith("watch's function"):
        with watch(nn.Linear(2, 2), recorder, attention=None):
            function = getattr(torch.nn.utils, name)
    if kind == "own arithmetic":

        def function(parameters, limit):
            for parameter in parameters:
                parameter.grad.clamp_(-limit / 7, limit / 7)

    mine = halving(function)
    monkeypatch.setattr(torch.nn.utils, name, mine)
    losses = train(recorder, is_watched=False)
    assert train(recorder, is_watched=True) == losses
    assert mine.calls == 8
    assert getattr(torch.nn.utils, name) is mine
    # The norms are those before clipping: the first step's gradients are the same in each case.
    torch.manual_seed(1)
    model = nn.Sequential(SelfAttention(), SelfAttention())
    model(torch.randn(2, 6, 8)).square().sum().backward()
    norm = torch.stack([parameter.grad.double().norm() for parameter in model.parameters()]).norm()
    assert recorder["grad_norm_total"][0] == pytest.approx(float(norm), rel=1e-6)


@pytest.mark.parametrize("name", ["_clip_grads_with_norm_", "_get_total_norm"])
def test_functions_that_clipping_calls_run_if_replaced(recorder, monkeypatch, name):
    module = torch.nn.utils.clip_grad
    original = getattr(module, name)

    def mine(*args, **kwargs):
        result = original(*args, **kwargs)
        return None if result is None else result * 3.0

    calls = []
    monkeypatch.setattr(module, name, lambda *args, **kwargs: (calls.append(1), mine(*args, **kwargs))[1])
    losses = train(recorder, is_watched=False)
    assert train(recorder, is_watched=True) == losses
    assert len(calls) == 8


def test_clipping_by_its_full_path_is_observed(recorder, two_layers):
    for name, limit in (("clip_grad_value_", 1e-3), ("clip_grad_norm_", 1e-3)):
        two_layers.zero_grad()
        with watch(two_layers, recorder, attention=None) as handle:
            two_layers(torch.ones(2, 6)).sum().backward()
            norm = float(two_layers.layers[0].weight.grad.double().norm())
            getattr(torch.nn.utils.clip_grad, name)(two_layers.parameters(), limit)
            handle.commit()
        assert recorder["grad_norm/layers.0.weight"] == {0: pytest.approx(norm, rel=1e-5)}


def test_clipping_with_a_given_norm_is_observed(recorder, two_layers):
    with watch(two_layers, recorder, attention=None) as handle:
        two_layers(torch.ones(2, 6)).sum().backward()
        norm = float(two_layers.layers[0].weight.grad.double().norm())
        total = torch.nn.utils.get_total_norm([parameter.grad for parameter in two_layers.parameters()])
        torch.nn.utils.clip_grads_with_norm_(two_layers.parameters(), 1e-3, total)
        handle.commit()
    assert recorder["grad_norm/layers.0.weight"] == {0: pytest.approx(norm, rel=1e-5)}
    assert recorder["grad_norm_total"] == {0: pytest.approx(float(total), rel=1e-5)}


def test_clipping_arguments_are_passed_unchanged(recorder, two_layers, monkeypatch):
    received = []
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *args, **kwargs: received.append((args, kwargs)))
    with watch(two_layers, recorder, attention=None):
        torch.nn.utils.clip_grad_norm_(two_layers.layers[0].weight, ratio=2)
        torch.nn.utils.clip_grad_norm_(parameters=two_layers.parameters(), max_norm="auto")
    weights = list(two_layers.parameters())
    assert received[0] == ((two_layers.layers[0].weight,), {"ratio": 2})
    assert received[1] == ((), {"parameters": weights, "max_norm": "auto"})


@pytest.mark.expects_warnings
def test_clipping_replaced_during_the_watch_runs_and_is_noted(recorder, monkeypatch):
    models = [nn.Linear(4, 4), nn.Linear(4, 4)]
    models[1].load_state_dict(models[0].state_dict())
    calls = []

    def mine(parameters, _limit):
        calls.append(1)
        for parameter in parameters:
            parameter.grad.mul_(0.25)

    for model, is_watched in zip(models, [False, True], strict=True):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        handle = watch(model, recorder, optimizer, attention=None) if is_watched else None
        with monkeypatch.context() as patching:
            patching.setattr(torch.nn.utils, "clip_grad_norm_", mine)
            model(torch.ones(2, 4)).sum().backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        if handle is not None:
            assert ["clip_grad_norm_" in note for note in handle.notes] == [True]
            handle.close()
    assert len(calls) == 2
    assert torch.equal(models[0].weight, models[1].weight)
    assert recorder["grad_norm_may_be_clipped"] == {0: 1.0}


def test_attention_function_replaced_before_the_watch_runs(recorder, monkeypatch):
    original = F.scaled_dot_product_attention
    calls = []

    def mine(query, key, value, is_causal):
        calls.append(1)
        return original(query, key, value, is_causal=is_causal) * 1.5

    monkeypatch.setattr(F, "scaled_dot_product_attention", mine)
    losses = train(recorder, is_watched=False)
    assert train(recorder, is_watched=True) == losses
    assert len(calls) == 16
    assert F.scaled_dot_product_attention is mine
    assert len(recorder["attention_entropy/layer_1"]) == 4


@pytest.mark.expects_warnings
def test_attention_function_replaced_during_the_watch_is_noted(recorder, monkeypatch):
    model = nn.Sequential(SelfAttention())
    with watch(model, recorder, attention=EVERY_ROW) as handle:
        with monkeypatch.context() as patching:
            patching.setattr(F, "scaled_dot_product_attention", lambda query, *_args, **_kwargs: query)
            model(torch.randn(2, 6, 8)).sum().backward()
            handle.commit()
        assert any("scaled_dot_product_attention was replaced" in note for note in handle.notes)
        model(torch.randn(2, 6, 8)).sum().backward()
        handle.commit()
    assert set(recorder["attention_entropy/layer_0"]) == {1}


def test_functions_restored_in_another_order_keep_working(recorder):
    model = nn.Sequential(SelfAttention())
    first_function = F.scaled_dot_product_attention
    handles = [watch(model, recorder, attention=EVERY_ROW)]
    of_first_watch = F.scaled_dot_product_attention
    F.scaled_dot_product_attention = lambda *args, **kwargs: of_first_watch(*args, **kwargs)
    other = type(recorder)()
    handles.append(watch(model, other, attention=EVERY_ROW))
    F.scaled_dot_product_attention = of_first_watch  # the wrapper in the middle is removed before the second watch
    x = torch.randn(2, 6, 8)
    expected = None
    try:
        expected = model(x)
        for handle in handles:
            handle.commit()
            handle.close()
        assert torch.equal(model(x), expected)
        with watch(model, recorder, attention=EVERY_ROW) as handle:
            handle.step = 1
            model(x)
            handle.commit()
    finally:
        F.scaled_dot_product_attention = first_function
    assert set(recorder["attention_entropy/layer_0"]) == {0, 1}
    assert set(other["attention_entropy/layer_0"]) == {0}


def test_scaler_step_replaced_before_the_watch_runs(recorder, two_layers, monkeypatch):
    calls = []
    original = torch.amp.GradScaler.step

    def mine(self, optimizer):
        calls.append(1)
        return original(self, optimizer)

    monkeypatch.setattr(torch.amp.GradScaler, "step", mine)
    optimizer, scaler = torch.optim.SGD(two_layers.parameters(), lr=0.1), torch.amp.GradScaler("cpu", init_scale=4.0)
    with watch(two_layers, recorder, optimizer, attention=None):
        for _ in range(2):
            optimizer.zero_grad()
            scaler.scale(two_layers(torch.ones(2, 6)).sum()).backward()
            scaler.step(optimizer=optimizer)
            scaler.update()
    assert len(calls) == 2
    assert torch.amp.GradScaler.step is mine
    assert set(recorder["grad_norm_total"]) == {0, 1}
