"""Entropy, sparsity and largest logit of every layer's attention.

Hooks around the attention modules determine the layer of each call. The calls themselves are observed by patching
`torch.nn.functional.scaled_dot_product_attention` and its alternatives, or reported by `holter.torch.attention`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from holter.torch._attention_call import AttentionCall, UnknownAttentionError, make_call
from holter.torch._attention_math import exact, sampled, stratum_offset
from holter.torch._cadence import Cadence
from holter.torch._compiled import AttentionTargets
from holter.torch._flex import flex_calls
from holter.torch._hooks import Hook
from holter.torch._multihead import multihead_calls
from holter.torch._names import labels, selected
from holter.torch._patches import ATTENTION, Patch, Patches
from holter.torch._running import Layer, Running
from holter.torch._tracing import has_data, is_abstract
from holter.torch._transformers import patches_for

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from torch import Tensor, nn
    from torch.utils.hooks import RemovableHandle

    from holter.torch._faults import Faults
    from holter.torch._notes import Notes
    from holter.torch._values import StepValues

CPU = torch.device("cpu")
ENTROPY, SPARSITY, LARGEST_LOGIT = "attention_entropy", "attention_sparsity", "attention_max_logit"


@dataclass(frozen=True)
class Attention:
    """Settings for attention statistics.

    With w the weights of a query after the softmax and before dropout: `attention_entropy/…` is the mean of -Σ w log w
    over batch, heads and queries, in nats. `attention_sparsity/…` is the share of weights above `threshold`, from 0 to
    1, masked positions included. `attention_max_logit/…` is the largest unmasked score before the softmax.

    Attributes:
        rows: Number of queries to sample from each call. The means over them are unbiased estimates of those over all
            queries; the largest logit is that of the sampled queries.
        every: Record every this many steps. Only the first forward pass of such a step counts.
        threshold: Sparsity counts the weights above it.
        exact: Use every query instead of a sample.
        standard_error: Also record `attention_entropy_se/…` and `attention_sparsity_se/…`, by successive differences
            (Wolter, Introduction to Variance Estimation, 8.2).

    Raises:
        ValueError: If `rows` or `every` is less than 1.
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


def resolve_attention(attention: str | Attention | None) -> Attention | None:
    """Normalize the `attention` argument of `watch`.

    Raises:
        ValueError: If it is none of the accepted values.
    """
    if attention is None or isinstance(attention, Attention):
        return attention
    if attention == "sampled":
        return Attention()
    if attention == "exact":
        return Attention(exact=True)
    raise ValueError(f"attention must be 'sampled', 'exact', an Attention or None, not {attention!r}")


class AttentionProbe:
    """Observes one model's attention.

    Args:
        paths: The model's modules by path.
        settings: What to record, and how often.
        values: Receives the results.
        faults: Reports failures.
        notes: Reports calls that cannot be recorded.
        step: Returns the number of the current step.
        include: Patterns of module paths to record; None for all.
        exclude: Patterns of module paths not to record.
        reporters: Ids of the modules whose forward calls `holter.torch.attention`.
    """

    def __init__(
        self,
        paths: Mapping[str, nn.Module],
        *,
        settings: Attention,
        values: StepValues,
        faults: Faults,
        notes: Notes,
        step: Callable[[], int],
        include: str | Sequence[str] | None = None,
        exclude: str | Sequence[str] | None = None,
        reporters: Collection[int] = (),
    ) -> None:
        self._settings = settings
        self._values = values
        self._faults = faults
        self._notes = notes
        self._step = step
        self._cadence = Cadence(settings.every)
        self._running = Running()
        self._handles: list[RemovableHandle] = []
        self._layers: dict[int, Layer] = {}
        included = {path: module for path, module in paths.items() if selected(path, include, exclude)}
        self._paths = {id(module): path for path, module in included.items()}
        for path, label in attention_modules(included).items():
            self._layers[id(paths[path])] = Layer(path, self._names(label))
        has_attention_modules = any(_is_attention(paths[layer.path]) for layer in self._layers.values())
        for path, module in included.items():
            is_new = id(module) in reporters and id(module) not in self._layers
            if is_new and not any(_is_inside(path, layer.path) for layer in self._layers.values()):
                self._add_layer(module)
        self.targets = AttentionTargets(
            faults, rows=0 if settings.exact else settings.rows, threshold=settings.threshold
        )
        parameters = (parameter for module in paths.values() for parameter in module.parameters())
        self.targets.default_device = next((parameter.device for parameter in parameters), CPU)
        for layer in self._layers.values():
            self.targets.add(paths[layer.path], layer.names, len(layer.names), layer.names)
        self._hook(paths[layer.path] for layer in self._layers.values())
        # Without modules that are certain to attend, missing values mean nothing.
        values.add_targets(self.targets, "attention call" if has_attention_modules else None)
        self._patches: list[Patch[Any]] = [
            *_calls.find(),
            multihead_calls,
            *(patch for calls in flex_calls for patch in calls.find()),
            *patches_for(paths[layer.path] for layer in self._layers.values()),
        ]
        for patch in self._patches:
            patch.add(self)

    def close(self) -> None:
        """Remove every hook and patch."""
        self.targets.close()
        for patch in reversed(self._patches):
            patch.remove(self)
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    @property
    def names(self) -> list[str]:
        """The names of all layers' series."""
        return [name for layer in self._layers.values() for name in layer.names]

    def replaced_functions(self) -> list[str]:
        """Return the attention functions that other code has replaced since this watch patched them."""
        return [patch.name for patch in self._patches if patch.is_replaced] if self._cadence.due(self._step()) else []

    def end_step(self, step: int) -> None:
        """Mark the step as recorded under this number."""
        self._running.step += 1
        self._cadence.done(step)

    def begin_step(self, step: int) -> None:
        """Begin the step with this number."""
        self.targets.begin_step(step, is_active=self._cadence.due(step) and self._values.calls == "first")

    def on_call(self, call: Callable[[], AttentionCall | None]) -> None:
        """Measure an attention call of the module that is running."""
        if self._running.layers:
            self._measure_if_due(self._running.layers[-1], call)

    def on_module_call(self, module: nn.Module, call: Callable[[], AttentionCall | None]) -> None:
        """Measure an attention call of a given module."""
        layer = self._layers.get(id(module))
        if layer is None:
            running = self._running.layers
            layer = running[-1] if running else self._add_layer(module)
        if layer is not None:
            self._measure_if_due(layer, call)

    def _measure_if_due(self, layer: Layer, call: Callable[[], AttentionCall | None]) -> None:
        if not torch.is_grad_enabled() or not self._cadence.due(self._step()) or is_abstract():
            return
        if not self._values.wants(layer.names):
            return
        self._faults.run(f"attention of {layer.path}", self._measure, layer, call)

    def _measure(self, layer: Layer, call: Callable[[], AttentionCall | None]) -> None:
        try:
            found = call()
        except UnknownAttentionError as unknown:
            self._notes.warn_unknown_attention(layer.path, str(unknown))
            return
        if found is None or not (has_data(found.query) and has_data(found.key)):
            return
        settings = self._settings
        if settings.exact:
            numbers = exact(found, settings.threshold)
        else:
            numbers = sampled(found, settings.rows, stratum_offset(self._step()), settings.threshold)
        self._values.put(layer.names, numbers[: len(layer.names)])

    def _add_layer(self, module: nn.Module) -> Layer | None:
        """Add a layer for a module that is not recognizable as attention; None if the module is excluded."""
        path = self._paths.get(id(module))
        if path is None:
            return None
        label = labels([path])[path]
        if any(layer.names == self._names(label) for layer in self._layers.values()):
            label = path
        layer = self._layers[id(module)] = Layer(path, self._names(label))
        return layer

    def _names(self, label: str) -> tuple[str, ...]:
        metrics = [ENTROPY, SPARSITY, LARGEST_LOGIT]
        if self._settings.standard_error:
            metrics += [f"{ENTROPY}_se", f"{SPARSITY}_se"]
        return tuple(f"{metric}/{label}" for metric in metrics)

    def _hook(self, modules: Iterable[nn.Module]) -> None:
        """Keep `_running` up to date.

        All modules share the two hooks, which look up the module only in eager code and are registered without options:
        otherwise torch would compile a block once per layer, not once for all layers.
        """
        running, layers, targets = self._running, self._layers, self.targets

        def enter(module: nn.Module, _inputs: Any) -> None:
            if torch.compiler.is_dynamo_compiling():
                targets.enter(module)
            elif module.training:
                layer = layers.get(id(module))
                if layer is not None:
                    running.layers.append(layer)

        def leave(module: nn.Module, _inputs: Any, _output: Any) -> None:
            if torch.compiler.is_dynamo_compiling():
                targets.leave(module)
                return
            # A module that raised, which ends every recomputation under checkpointing, is still on the stack.
            layer = layers.get(id(module))
            stack = running.layers
            if layer in stack:
                while stack.pop() is not layer:
                    pass

        before, after = Hook(enter), Hook(leave)
        for module in modules:
            self._handles.append(module.register_forward_pre_hook(before))
            self._handles.append(module.register_forward_hook(after))


def attention_modules(paths: Mapping[str, nn.Module]) -> dict[str, str]:
    """Map the paths of the attention modules to their labels.

    Attention modules have `attention` or `attn` in the names of their classes. The innermost of them determine the
    labels. A module that contains a single innermost module shares its label, because either may make the call. In a
    model without attention modules, the outermost numbered layers count.
    """
    named = [path for path, module in paths.items() if _is_attention(module)]
    if not named:
        return labels(path for path, module in paths.items() if _is_outermost_layer(path) and any(module.children()))
    nested = {path: [other for other in named if other != path and _is_inside(other, path)] for path in named}
    innermost = [path for path, others in nested.items() if not others]
    result = labels(innermost)
    for path, others in nested.items():
        if others:
            leaves = [other for other in others if other in innermost]
            result[path] = result[leaves[0]] if len(leaves) == 1 else path
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
    """Replace `scaled_dot_product_attention`."""
    if torch.compiler.is_dynamo_compiling():
        for listener in listeners:
            listener.targets.attend(_call_of_sdpa(*args, **kwargs))
    elif not torch.compiler.is_compiling():  # torch's tracing calls the patched function a second time
        for listener in listeners:
            listener.on_call(lambda: _call_of_sdpa(*args, **kwargs))
    return original(*args, **kwargs)


def _call_of_sdpa(  # noqa: PLR0917  torch's signature
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,  # noqa: FBT001, FBT002  torch's signature
    scale: float | None = None,
    enable_gqa: bool = False,  # noqa: FBT001, FBT002  torch's signature
    *rest: Any,
    **others: Any,
) -> AttentionCall | None:
    """Return the call. A function that other code has put in the place of torch's may have further arguments."""
    del value, dropout_p, enable_gqa
    if rest or others:
        names = ", ".join(others) or "additional arguments"
        raise UnknownAttentionError(f"passes {names} to scaled_dot_product_attention")
    return make_call(query, key, mask=attn_mask, is_causal=is_causal, scale=scale)


_calls: Patches[AttentionProbe] = Patches(F, "scaled_dot_product_attention", _sdpa, ATTENTION)
