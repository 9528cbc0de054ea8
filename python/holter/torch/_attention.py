"""Attention: the entropy and the sparsity of every layer's attention, as the model runs it.

Which layer a call belongs to is known from light hooks around the modules that attend. The calls themselves are seen
where they pass by: `torch.nn.functional.scaled_dot_product_attention`, and one explicit line for whatever does not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from holter.torch._attention_math import AttentionCall, exact, make_call, offset_of, sampled
from holter.torch._cadence import Cadence
from holter.torch._compiled import AttentionPulse, is_out_of_reach
from holter.torch._flex import flex_calls
from holter.torch._hooks import Hook
from holter.torch._multihead import multihead_calls
from holter.torch._names import labels, selected
from holter.torch._patches import Patch, Patches
from holter.torch._transformers import patches_for

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from torch import Tensor, nn
    from torch.utils.hooks import RemovableHandle

    from holter.torch._faults import Faults
    from holter.torch._values import StepValues

CPU = torch.device("cpu")
ENTROPY, SPARSITY, LARGEST_LOGIT = "attention_entropy", "attention_sparsity", "attention_max_logit"


@dataclass(frozen=True)
class Attention:
    """How attention is looked at.

    Attributes:
        rows: how many queries of each call; their statistics estimate those of all without bias.
        every: every how many steps. The first forward pass of such a step counts.
        threshold: sparsity is the share of weights above it.
        exact: look at every query instead.
        standard_error: also record `attention_entropy_se/…` and `attention_sparsity_se/…`.
    """

    rows: int = 32
    every: int = 10
    threshold: float = 0.1
    exact: bool = False
    standard_error: bool = False

    def __post_init__(self) -> None:
        if self.rows < 1:
            raise ValueError(f"rows must be at least 1, not {self.rows!r}")
        Cadence(self.every)


def settings_of(attention: str | Attention | None) -> Attention | None:
    """What `watch`'s argument means."""
    if attention is None or isinstance(attention, Attention):
        return attention
    if attention == "sampled":
        return Attention()
    if attention == "exact":
        return Attention(exact=True)
    raise ValueError(f"attention must be 'sampled', 'exact', an Attention or None, not {attention!r}")


@dataclass(eq=False)
class _Layer:
    """A module that attends: its path, and the names that its numbers are recorded under."""

    path: str
    names: tuple[str, ...] = field(default=())


class AttentionProbe:
    """Follows one model's attention.

    Args:
        paths: the model's modules by path.
        settings: how to look.
        values: where results go.
        faults: where failures go.
        step: the number of the step under way.
        include: patterns of module paths to look at; None for all.
        exclude: patterns of module paths to leave out.
        tellers: ids of the modules that tell of their attention by the explicit line.
    """

    def __init__(
        self,
        paths: Mapping[str, nn.Module],
        *,
        settings: Attention,
        values: StepValues,
        faults: Faults,
        step: Callable[[], int],
        include: str | Sequence[str] | None = None,
        exclude: str | Sequence[str] | None = None,
        tellers: Collection[int] = (),
    ) -> None:
        self._settings = settings
        self._values = values
        self._faults = faults
        self._step = step
        self._cadence = Cadence(settings.every)
        self._inside: list[_Layer] = []
        self._handles: list[RemovableHandle] = []
        self._layers: dict[int, _Layer] = {}
        wanted = {path: module for path, module in paths.items() if selected(path, include, exclude)}
        self._paths = {id(module): path for path, module in wanted.items()}
        for path, label in attending_modules(wanted).items():
            self._layers[id(paths[path])] = _Layer(path, self._names(label))
        self.is_certain = any(_is_attention(paths[layer.path]) for layer in self._layers.values())
        for path, module in wanted.items():
            is_told_of = id(module) in tellers and id(module) not in self._layers
            if is_told_of and not any(_is_inside(path, layer.path) for layer in self._layers.values()):
                self._discovered(module)
        self.pulse = AttentionPulse(faults, rows=0 if settings.exact else settings.rows, threshold=settings.threshold)
        self.pulse.fallback = next((tensor.device for module in paths.values() for tensor in module.parameters()), CPU)
        for layer in self._layers.values():
            self.pulse.add(paths[layer.path], layer.names, len(layer.names), layer.names)
        self._hook(paths[layer.path] for layer in self._layers.values())
        values.await_from(self.pulse, "attention call" if self.is_certain else None)
        self._patches: list[Patch[Any]] = [
            *_calls.find(),
            multihead_calls,
            *(patch for calls in flex_calls for patch in calls.find()),
            *patches_for(paths[layer.path] for layer in self._layers.values()),
        ]
        for patch in self._patches:
            patch.add(self)

    def close(self) -> None:
        """Take every hook off and stop following calls."""
        self.pulse.close()
        for patch in reversed(self._patches):
            patch.remove(self)
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def step_done(self, step: int) -> None:
        """The step has been committed under this number."""
        self._inside.clear()
        self._cadence.done(step)

    def step_begins(self, step: int) -> None:
        """The step with this number is under way."""
        self.pulse.begin(step, is_active=self._cadence.due(step))

    def seen(self, call: Callable[[], AttentionCall | None]) -> None:
        """An attention call passed by in the module that is being run."""
        if self._inside:
            self._look(self._inside[-1], call)

    def explicit(self, module: nn.Module, call: Callable[[], AttentionCall | None]) -> None:
        """A module tells of its own call."""
        layer = self._layers.get(id(module))
        if layer is None:
            layer = self._inside[-1] if self._inside else self._discovered(module)
        if layer is not None:
            self._look(layer, call)

    def _look(self, layer: _Layer, call: Callable[[], AttentionCall | None]) -> None:
        if not torch.is_grad_enabled() or not self._cadence.due(self._step()) or self._values.has(layer.names):
            return
        if is_out_of_reach():
            return
        self._faults.run(f"attention of {layer.path}", self._measure, layer, call)

    def _measure(self, layer: _Layer, call: Callable[[], AttentionCall | None]) -> None:
        found = call()
        if found is None:
            return
        settings = self._settings
        if settings.exact:
            numbers = exact(found, settings.threshold)
        else:
            numbers = sampled(found, settings.rows, offset_of(self._step()), settings.threshold)
        self._values.put(layer.names, numbers[: len(layer.names)])

    def _discovered(self, module: nn.Module) -> _Layer | None:
        """A layer for a module that nobody could have known to attend; None for one that is not to be recorded."""
        path = self._paths.get(id(module))
        if path is None:
            return None
        label = labels([path])[path]
        if any(layer.names == self._names(label) for layer in self._layers.values()):
            label = path
        layer = self._layers[id(module)] = _Layer(path, self._names(label))
        return layer

    def _names(self, label: str) -> tuple[str, ...]:
        metrics = [ENTROPY, SPARSITY, LARGEST_LOGIT]
        if self._settings.standard_error:
            metrics += [f"{ENTROPY}_se", f"{SPARSITY}_se"]
        return tuple(f"{metric}/{label}" for metric in metrics)

    def _hook(self, modules: Iterable[nn.Module]) -> None:
        """Keep `_inside` up to date.

        The two hooks are the same for every module, look nothing up before they know that they are not being compiled,
        and have no options: otherwise a block that is compiled once for all layers would be compiled anew for each.
        """
        inside, layers, pulse = self._inside, self._layers, self.pulse

        def enter(module: nn.Module, _inputs: Any) -> None:
            if torch.compiler.is_dynamo_compiling():
                pulse.enter(module)
            elif module.training:
                layer = layers.get(id(module))
                if layer is not None:
                    inside.append(layer)

        def leave(module: nn.Module, _inputs: Any, _output: Any) -> None:
            if torch.compiler.is_dynamo_compiling():
                pulse.leave(module)
                return
            # A module that raised (as a recomputation under checkpointing does in the end) has not left by itself.
            layer = layers.get(id(module))
            if layer in inside:
                while inside.pop() is not layer:
                    pass

        before, after = Hook(enter), Hook(leave)
        for module in modules:
            self._handles.append(module.register_forward_pre_hook(before))
            self._handles.append(module.register_forward_hook(after))


def attending_modules(paths: Mapping[str, nn.Module]) -> dict[str, str]:
    """The modules that calls are counted for, with their labels.

    They are those with `attention` or `attn` in their class's name; the innermost of them give the labels, and one
    around a single such module shares its label, since either may be the one that attends. A model without any is
    taken by its numbered layers.
    """
    named = [path for path, module in paths.items() if _is_attention(module)]
    if not named:
        return labels(path for path, module in paths.items() if _is_outermost_layer(path) and any(module.children()))
    inside = {path: [other for other in named if other != path and _is_inside(other, path)] for path in named}
    innermost = [path for path, others in inside.items() if not others]
    result = labels(innermost)
    for path, others in inside.items():
        if others:
            ends = [other for other in others if other in innermost]
            result[path] = result[ends[0]] if len(ends) == 1 else path
    return result


def _is_inside(path: str, other: str) -> bool:
    return not other or path.startswith(f"{other}.")


def _is_outermost_layer(path: str) -> bool:
    parts = path.split(".")
    return parts[-1].isdigit() and not any(part.isdigit() for part in parts[:-1])


def _is_attention(module: nn.Module) -> bool:
    name = type(module).__name__.lower()
    return "attention" in name or "attn" in name


def _sdpa(listeners: tuple[AttentionProbe, ...], original: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
    """Stands in for `scaled_dot_product_attention`: the same call, and every watch gets to see it."""
    if torch.compiler.is_dynamo_compiling():
        for listener in listeners:
            listener.pulse.attend(_call_of_sdpa(*args, **kwargs))
    elif not torch.compiler.is_compiling():  # torch's own tracing goes through the patched function once more
        for listener in listeners:
            listener.seen(lambda: _call_of_sdpa(*args, **kwargs))
    return original(*args, **kwargs)


def _call_of_sdpa(  # noqa: PLR0917  torch's own signature
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,  # noqa: FBT001, FBT002  torch's own signature
    scale: float | None = None,
    enable_gqa: bool = False,  # noqa: FBT001, FBT002  torch's own signature
) -> AttentionCall | None:
    """The call as the mathematics needs it; None for layouts that are not one rectangle."""
    del value, dropout_p, enable_gqa
    return make_call(query, key, mask=attn_mask, is_causal=is_causal, scale=scale)


_calls: Patches[AttentionProbe] = Patches(F, "scaled_dot_product_attention", _sdpa)
