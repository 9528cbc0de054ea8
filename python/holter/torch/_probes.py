"""Probes of any module, selected by a pattern (`Probe`) or called inside a forward pass (`emit`).

A probe receives a module's inputs and output, returns tensors, and never changes them. Its result is reduced on its
device and recorded with the step. Probes run once per step and only during training: with gradients enabled and the
module in training mode.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from holter.torch._compiled import EmitTargets, ProbeTargets
from holter.torch._hooks import Hook
from holter.torch._names import labels, layer_number, matches
from holter.torch._norms import norms
from holter.torch._tracing import all_have_data, has_data

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from torch import nn
    from torch.utils.hooks import RemovableHandle

    from holter.torch._faults import Faults
    from holter.torch._values import StepValues


_CPU = torch.device("cpu")
_INITIAL_EMIT_ROWS = 16
"""Number of metrics that a module can emit in compiled code in the first step; further metrics start one step later."""


@dataclass(frozen=True)
class Probe:
    """A metric of every module whose path matches a pattern.

    Attributes:
        module_pattern: Shell-style pattern of module paths, for example `blocks.*.memory`; `*` also matches dots.
        metric: The metric's name. Recorded as `{metric}/layer_{i}`, or as `{metric}/{path}` if the layer number is not
            unique.
        function: Called as `function(module, inputs, output)` after the module's forward, with gradients disabled;
            `inputs` is the tuple of positional arguments. A function with four parameters receives the dict of keyword
            arguments as the fourth. A 0-d tensor that it returns is recorded as is. Of any other tensor, or a tuple,
            list or mapping of tensors, the 2-norm of all elements is recorded. None records nothing.
    """

    module_pattern: str
    metric: str
    function: Callable[..., Any]


@dataclass(frozen=True)
class _BoundProbe:
    """A probe of one module, with the name of its metric."""

    name: str
    function: Callable[..., Any]


class ProbeHooks:
    """The forward hooks of all probes of one watch, and the values that modules emit."""

    def __init__(
        self,
        paths: Mapping[str, nn.Module],
        probes: Iterable[Probe],
        *,
        values: StepValues,
        faults: Faults,
        due: Callable[[], bool],
        emitters: Collection[int] = (),
    ) -> None:
        self._values = values
        self._faults = faults
        self._due = due
        self._handles: list[RemovableHandle] = []
        self._paths = {id(module): path for path, module in paths.items()}
        self._emitted_names: dict[tuple[str, int], str] = {}
        self._probes: dict[int, list[_BoundProbe]] = {}
        self._with_keywords: dict[int, list[_BoundProbe]] = {}
        self._hooks: dict[tuple[tuple[Callable[..., Any], ...], int, bool], Hook] = {}
        self._targets = ProbeTargets(faults)
        self._emit_targets = EmitTargets(faults)
        parameters = (parameter for module in paths.values() for parameter in module.parameters())
        device = next((parameter.device for parameter in parameters), _CPU)
        self._targets.default_device = self._emit_targets.default_device = device
        for probe in probes:
            found = {path: module for path, module in paths.items() if matches(path, probe.module_pattern)}
            if not found:
                raise ValueError(
                    f"probe {probe.metric!r}: no module path matches {probe.module_pattern!r}; the model's modules "
                    f"include {_preview(paths)}"
                )
            bound = self._with_keywords if _takes_keywords(probe.function) else self._probes
            for path, label in labels(found).items():
                bound.setdefault(id(found[path]), []).append(_BoundProbe(f"{probe.metric}/{label}", probe.function))
        for module in paths.values():
            self._hook(module)
            if id(module) in emitters:
                self._emit_targets.add(module, _EmittedNames(self, module), _INITIAL_EMIT_ROWS)
        values.add_targets(self._targets, "probe")
        values.add_targets(self._emit_targets, None)

    @property
    def names(self) -> list[str]:
        """The names of all probes."""
        return [
            probe.name for bound in (self._probes, self._with_keywords) for each in bound.values() for probe in each
        ]

    def begin_step(self, step: int, *, is_active: bool) -> None:
        """Begin a step; `is_active` is whether compiled code records it."""
        is_active = is_active and self._values.calls == "first"
        self._targets.begin_step(step, is_active=is_active)
        self._emit_targets.begin_step(step, is_active=is_active)

    def emit(self, module: nn.Module, metric: str, value: Any) -> None:
        """Record a value that a module emits, reduced like a probe's result."""
        if not self._due() or not all_have_data(value):
            return
        name = self.emitted_name(module, metric)
        if self._values.wants((name,)):
            self._faults.run(f"emit of {name}", self._record, name, value)

    def emit_traced(self, module: nn.Module, metric: str, value: Any) -> None:
        """Record a value that a module emits in code that torch.compile traces."""
        target = self._emit_targets.target_of(module)
        if target is not None:
            with torch.no_grad():
                self._emit_targets.emit(target, metric, _reduce_or_none(value))

    @property
    def emitted_metrics(self) -> list[str]:
        """The metrics that compiled code has emitted so far, in the order of their rows."""
        return self._emit_targets.metrics

    def emitted_name(self, module: nn.Module, metric: str) -> str:
        """Return the full name of a metric that a module emits."""
        key = (metric, id(module))
        name = self._emitted_names.get(key)
        if name is None:
            # The emitting modules are not known in advance: if two share a layer number, the first one gets it.
            path = self._paths[id(module)]
            number = layer_number(path)
            name = f"{metric}/{path}" if number is None else f"{metric}/layer_{number}"
            if name in self._emitted_names.values():
                name = f"{metric}/{path}"
            self._emitted_names[key] = name
        return name

    def close(self) -> None:
        """Remove every hook."""
        self._targets.close()
        self._emit_targets.close()
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _hook(self, module: nn.Module) -> None:
        """Register a module's hooks, and create its target for compiled code."""
        probes, with_keywords = self._probes.get(id(module), []), self._with_keywords.get(id(module), [])
        if not probes and not with_keywords:
            return
        names = [probe.name for probe in probes + with_keywords]
        self._targets.add(module, names, len(names), *((name,) for name in names))
        functions = tuple(probe.function for probe in probes)
        if functions:
            self._handles.append(module.register_forward_hook(self._make_hook(functions, 0)))
        if with_keywords:
            functions = tuple(probe.function for probe in with_keywords)
            hook = self._make_hook(functions, len(probes), with_keywords=True)
            self._handles.append(module.register_forward_hook(hook, with_kwargs=True))

    def _make_hook(self, functions: tuple[Callable[..., Any], ...], first: int, *, with_keywords: bool = False) -> Hook:
        """Return the forward hook of all modules with these probes, whose values start at the target's row `first`.

        The hook looks up the module only in eager code: otherwise torch would compile a block once per layer, not once
        for all layers. Registering a hook with options has the same effect, so only probes that take keyword arguments
        use them.
        """
        existing = self._hooks.get((functions, first, with_keywords))
        if existing is not None:
            return existing
        run, targets, probes = self._run, self._targets, self._with_keywords if with_keywords else self._probes

        def after(module: nn.Module, inputs: tuple[Any, ...], *rest: Any) -> None:
            # A hook's arguments end with (keywords, output) or (output); a probe's end with (output, keywords).
            arguments = (module, inputs, *reversed(rest))
            if torch.compiler.is_dynamo_compiling():
                _run_traced(targets, functions, first, arguments)
            else:
                run(probes.get(id(module), ()), arguments)

        hook = self._hooks[functions, first, with_keywords] = Hook(after)
        return hook

    def _run(self, probes: Iterable[_BoundProbe], arguments: tuple[Any, ...]) -> None:
        if not arguments[0].training or not self._due() or not all_have_data(arguments[1:]):
            return
        for probe in probes:
            if self._values.wants((probe.name,)):
                self._faults.run(f"probe {probe.name}", self._evaluate, probe.name, probe.function, arguments)

    def _evaluate(self, name: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        with torch.no_grad():
            self._record(name, function(*arguments))

    def _record(self, name: str, value: Any) -> None:
        with torch.no_grad():
            reduced = reduce(value)
        if reduced is not None and has_data(reduced):
            self._values.put((name,), reduced)


class _EmittedNames:
    """The names of the rows of an emitting module's target: those of the metrics emitted so far."""

    def __init__(self, hooks: ProbeHooks, module: nn.Module) -> None:
        self._hooks = hooks
        self._module = module

    def __iter__(self) -> Iterator[str]:
        for metric in list(self._hooks.emitted_metrics):
            yield self._hooks.emitted_name(self._module, metric)


def _run_traced(
    targets: ProbeTargets, functions: tuple[Callable[..., Any], ...], first: int, arguments: tuple[Any, ...]
) -> None:
    """Run a hook's probes in code that torch.compile traces."""
    target = targets.target_of(arguments[0])
    if target is None:
        return
    with torch.no_grad():
        for row, function in enumerate(functions, first):
            value = _call_or_none(function, arguments)
            if value is not None:
                targets.put(target, row, value)


def _call_or_none(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Tensor | None:
    try:
        return reduce(function(*arguments))
    except Exception:  # noqa: BLE001  a probe that raises while it is traced has no value; tracing continues
        return None


def _reduce_or_none(value: Any) -> Tensor | None:
    try:
        return reduce(value)
    except Exception:  # noqa: BLE001  as above
        return None


def reduce(value: Any) -> Tensor | None:
    """Reduce a probe's result to one number: a 0-d tensor as is, the 2-norm of everything else.

    Returns:
        A 0-d tensor; None if the result holds no tensor.

    Raises:
        TypeError: If the result holds something other than tensors and None.
    """
    if isinstance(value, Tensor) and value.ndim == 0 and not value.is_nested:
        if value.is_complex():
            raise TypeError("a probe must return real numbers, not a complex one; return its abs() or its parts")
        return value.detach()
    tensors = [tensor.detach() for tensor in _tensors(value)]
    if not tensors:
        return None
    by_dtype: dict[torch.dtype, list[Tensor]] = {}
    for tensor in tensors:
        by_dtype.setdefault(tensor.dtype, []).append(tensor)
    parts = torch.cat([norms(group, dtype) for dtype, group in by_dtype.items()])
    return parts[0] if parts.numel() == 1 else torch.linalg.vector_norm(parts)


def _tensors(value: Any) -> Iterable[Tensor]:
    """Yield all tensors of a probe's result, integer tensors converted to float32."""
    if isinstance(value, Tensor):
        yield value if value.is_floating_point() or value.is_complex() else value.to(torch.float32)
    elif isinstance(value, PackedSequence):
        yield from _tensors(value.data)  # the other parts are lengths and indices
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _tensors(part)
    elif isinstance(value, Iterable) and not isinstance(value, str):
        for part in value:
            yield from _tensors(part)
    elif hasattr(value, "values"):  # a TensorDict is not a Mapping
        yield from _tensors(value.values())
    elif value is not None:
        raise TypeError(f"a probe must return tensors or None, not {type(value).__name__}")


def _takes_keywords(function: Callable[..., Any]) -> bool:
    """Return whether a probe's function has a fourth parameter, for the keyword arguments."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return len(positional) > 3 or any(p.kind is p.VAR_POSITIONAL for p in parameters)


def _preview(paths: Iterable[str]) -> str:
    names = [path for path in paths if path]
    return ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
