"""Watching does not change a training by a bit, and closing the watch removes every trace of it."""

import copy
import pickle
import sys

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402

from holter.demo.data import streams  # noqa: E402
from holter.demo.model import AtlasLanguageModel, ModelConfig  # noqa: E402
from holter.demo.train import make_optimizer, watch_everything  # noqa: E402
from holter.torch import Attention, Parameter, Probe, Rank, watch  # noqa: E402
from holter.torch._hooks import noop  # noqa: E402

SMALL = ModelConfig(width=16, heads=2, layers=2, memory_width=8, chunk=8, context=32)


def train(recorder, *, is_watched, steps=6, inspect=lambda model: None):
    """Train briefly with dropout, so that random state matters; return losses, parameters and random state."""
    torch.manual_seed(1)
    model = AtlasLanguageModel(SMALL)
    optimizer = make_optimizer(model)
    handle = watch_everything(model, recorder, optimizer) if is_watched else None
    text = torch.arange(4000) * 7919 % 251
    memories = model.initial_memories(4)
    losses = []
    for _, (inputs, targets) in zip(range(steps), streams(text, 4, 32), strict=False):
        logits, memories = model(inputs, memories)
        loss = F.cross_entropy(F.dropout(logits, 0.1).flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        losses.append(loss.item())
    inspect(model)
    if handle is not None:
        assert handle.disabled == {}
        assert handle.dropped == 0
        handle.close()
    return losses, [parameter.detach() for parameter in model.parameters()], torch.get_rng_state()


def test_losses_parameters_and_random_state_are_bit_identical(recorder):
    losses, parameters, state = train(recorder, is_watched=False)
    watched_losses, watched_parameters, watched_state = train(recorder, is_watched=True)
    assert watched_losses == losses
    assert all(torch.equal(a, b) for a, b in zip(watched_parameters, parameters, strict=True))
    assert torch.equal(watched_state, state)
    assert len(recorder["grad_norm/blocks.0.M_init"]) == 6


def footprint(model) -> list:
    """Collect every hook of a model and every function that a watch may replace."""
    hooks = [
        len(getattr(module, kind))
        for module in model.modules()
        for kind in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_forward_hooks_always_called")
    ]
    attributes = [sorted(vars(module)) for module in model.modules()]
    functions = [
        F.scaled_dot_product_attention,
        F.multi_head_attention_forward,
        torch.nn.utils.clip_grad_norm_,
        torch.nn.utils.clip_grad_value_,
        vars(torch.nn.utils.clip_grad).get("_clip_grads_with_norm_"),
        torch.amp.GradScaler.step,
    ]
    return [hooks, attributes, functions]


def everything(model, recorder, optimizer):
    return watch(
        model,
        recorder,
        optimizer,
        attention=Attention(every=1),
        probes=[Probe("blocks.*", "output", lambda module, inputs, output: output[0])],
        parameters={"*.alpha_logit": Parameter("m3_alpha", gradient=True)},
        rank=Rank("*.M_init", every=1),
    )


def test_closing_the_watch_removes_every_hook_and_patch(recorder):
    model = AtlasLanguageModel(SMALL)
    optimizer = make_optimizer(model)
    before = footprint(model)
    with everything(model, recorder, optimizer) as handle:
        assert footprint(model) != before
    assert footprint(model) == before
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks
    handle.close()
    assert footprint(model) == before


def test_exception_removes_every_hook_and_patch(recorder):
    model = AtlasLanguageModel(SMALL)
    before = footprint(model)

    def fail():
        model(torch.zeros(1, 32, dtype=torch.int64), [])

    with pytest.raises(ValueError, match="zip"), everything(model, recorder, make_optimizer(model)):
        fail()
    assert footprint(model) == before


def test_failed_watch_removes_every_hook_and_patch(recorder):
    model = AtlasLanguageModel(SMALL)
    before = footprint(model)
    invalid = [
        {"probes": [Probe("block.*", "x", lambda module, inputs, output: output)]},
        {"parameters": {"*.alpha": Parameter("x")}},
        {"rank": Rank("*.M")},
        {"optimizer": "adam"},
        {"every": 0},
    ]
    for arguments in invalid:
        with pytest.raises((ValueError, TypeError)):
            watch(model, recorder, **arguments)
        assert footprint(model) == before


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_watches_can_close_in_any_order(recorder, order):
    model = AtlasLanguageModel(SMALL)
    before = footprint(model)
    handles = [watch(model, recorder, attention=Attention(every=1), prefix=f"{number}/") for number in range(2)]
    handles[order[0]].close()
    model(torch.zeros(1, 32, dtype=torch.int64), model.initial_memories(1))[0].sum().backward()
    handles[order[1]].commit()
    handles[order[1]].close()
    assert set(recorder[f"{order[1]}/attention_entropy/layer_1"]) == {0}
    assert footprint(model) == before


def test_closing_keeps_patches_that_other_code_installed_later(recorder, monkeypatch):
    model = AtlasLanguageModel(SMALL)
    original = F.scaled_dot_product_attention
    handle = watch(model, recorder, attention=Attention(every=1))
    patched = F.scaled_dot_product_attention

    def wrapper(*args, **kwargs):
        return patched(*args, **kwargs)

    monkeypatch.setattr(F, "scaled_dot_product_attention", wrapper)
    handle.close()
    assert F.scaled_dot_product_attention is wrapper
    with watch(model, recorder, attention=Attention(every=1)) as handle:
        model(torch.zeros(1, 32, dtype=torch.int64), model.initial_memories(1))[0].sum().backward()
        handle.commit()
    assert recorder["attention_entropy/layer_0"][0] > 0.0
    monkeypatch.undo()
    if F.scaled_dot_product_attention is not original:
        F.scaled_dot_product_attention = original


def test_copies_of_a_watched_model_are_not_watched(recorder):
    model = AtlasLanguageModel(SMALL)
    names = set(model.state_dict())
    probe = Probe("blocks.*", "output", lambda module, inputs, output: output[0])
    with watch(model, recorder, attention=Attention(every=1), probes=[probe]) as handle:
        for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            twin(torch.zeros(1, 32, dtype=torch.int64), twin.initial_memories(1))[0].sum().backward()
            hooks = [hook for module in twin.modules() for hook in module._forward_hooks.values()]
            assert set(hooks) == {noop}
        assert set(model.state_dict()) == names
        handle.commit()
    assert recorder.names() == []
    with watch(twin, recorder, attention=Attention(every=1)) as handle:
        twin(torch.zeros(1, 32, dtype=torch.int64), twin.initial_memories(1))[0].sum().backward()
        handle.commit()
    assert len(recorder.names("attention_entropy/")) == 2


SYNCHRONIZING = ("item", "tolist", "cpu", "__bool__", "__float__", "__int__", "__index__", "numpy")


def test_training_thread_never_waits_for_a_device(recorder, monkeypatch):
    """Count the calls from holter's files that would wait for an accelerator.

    Only staging may call `numpy`, for CPU tensors: it raises for others.
    """
    calls = []
    for name in SYNCHRONIZING:
        original = getattr(torch.Tensor, name)

        def counted(self, *args, _name=name, _original=original, **kwargs):
            caller = sys._getframe(1).f_code.co_filename
            if "holter/torch" in caller:
                calls.append((_name, caller.rpartition("/")[2]))
            return _original(self, *args, **kwargs)

        monkeypatch.setattr(torch.Tensor, name, counted)
    train(recorder, is_watched=True)
    assert set(calls) == {("numpy", "_staging.py")}
