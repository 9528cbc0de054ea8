"""Probes of any module: declared from outside by a pattern, or named from inside a forward pass by `emit`.

A probe sees a module's inputs and output, returns tensors, and never changes them. What it returns is reduced on its
device and recorded with the step. Only training's forward passes are looked at: with gradients on, the module in
training mode, once per step.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from holter.torch._compiled import EmitPulse, ProbePulse
from holter.torch._gradients import norms
from holter.torch._hooks import Hook
from holter.torch._names import labels, layer_number, matches

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from torch import nn
    from torch.utils.hooks import RemovableHandle

    from holter.torch._faults import Faults
    from holter.torch._values import StepValues


_CPU = torch.device("cpu")
_EMITTED_PLACES = 16
"""Metrics that a module may emit in compiled code at first; further ones have a place from the next step on."""


@dataclass(frozen=True)
class Probe:
    """A metric of every module whose path matches a pattern.

    Attributes:
        module_pattern: shell-style pattern of module paths; `*` matches dots as well. `blocks.*.memory`.
        metric: the metric's name; recorded as `{metric}/layer_{i}`, or `{metric}/{path}` where that is not unique.
        function: `function(module, inputs, output)`, called after the module's forward without gradients; `inputs` is
            the tuple of positional arguments. A function of four parameters gets the keyword arguments as the fourth.
            It returns a 0-d tensor, recorded as it is; or a tensor, or a tuple, list or mapping of tensors, of which
            the 2-norm of all their elements taken together is recorded; or None for nothing this time.
    """

    module_pattern: str
    metric: str
    function: Callable[..., Any]


@dataclass(frozen=True)
class _Placed:
    """One probe on one module."""

    name: str
    function: Callable[..., Any]


class ProbeHooks:
    """The forward hooks of all probes of one watch, and the reception of what modules emit."""

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
        self._emitted: dict[tuple[str, int], str] = {}
        self._probes: dict[int, list[_Placed]] = {}
        self._with_keywords: dict[int, list[_Placed]] = {}
        self._hooks: dict[tuple[tuple[Callable[..., Any], ...], int, bool], Hook] = {}
        self._targets = ProbePulse(faults)
        self._emit_targets = EmitPulse(faults)
        for pulse in (self._targets, self._emit_targets):
            pulse.fallback = next((one.device for module in paths.values() for one in module.parameters()), _CPU)
        for probe in probes:
            found = {path: module for path, module in paths.items() if matches(path, probe.module_pattern)}
            if not found:
                raise ValueError(
                    f"the probe {probe.metric!r} is for modules like {probe.module_pattern!r}, but the model has none; "
                    f"its modules are {_some(paths)}"
                )
            with_keywords = _takes_four(probe.function)
            for path, label in labels(found).items():
                where = self._with_keywords if with_keywords else self._probes
                where.setdefault(id(found[path]), []).append(_Placed(f"{probe.metric}/{label}", probe.function))
        for module in paths.values():
            self._hook(module)
            if id(module) in emitters:
                self._emit_targets.add(module, _Emitted(self, module), _EMITTED_PLACES)
        values.await_from(self._targets, "probe")
        values.await_from(self._emit_targets, None)

    def begin(self, step: int, *, is_active: bool) -> None:
        """A step begins."""
        self._targets.begin(step, is_active=is_active)
        self._emit_targets.begin(step, is_active=is_active)

    def emit(self, module: nn.Module, metric: str, value: Any) -> None:
        """Take what a module emitted: the same reduction as for a probe's result."""
        if not self._due():
            return
        name = self.emitted_name(module, metric)
        if not self._values.has((name,)):
            self._faults.run(f"emit of {name}", self._keep, name, value)

    def emit_compiled(self, module: nn.Module, metric: str, value: Any) -> None:
        """The same in code that torch.compile traces."""
        target = self._emit_targets.target_of(module)
        if target is not None:
            with torch.no_grad():
                self._emit_targets.emit(target, metric, _reduced(value))

    @property
    def emitted_metrics(self) -> list[str]:
        """What compiled code has emitted so far, in the order of the places."""
        return self._emit_targets.emitted

    def emitted_name(self, module: nn.Module, metric: str) -> str:
        """What a metric of a module that emits is called."""
        key = (metric, id(module))
        name = self._emitted.get(key)
        if name is None:
            # Which modules will emit is not known beforehand, so a number that two of them share goes to the first.
            path = self._paths[id(module)]
            number = layer_number(path)
            name = f"{metric}/{path}" if number is None else f"{metric}/layer_{number}"
            if name in self._emitted.values():
                name = f"{metric}/{path}"
            self._emitted[key] = name
        return name

    def close(self) -> None:
        """Take every hook off."""
        self._targets.close()
        self._emit_targets.close()
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _hook(self, module: nn.Module) -> None:
        """Give a module its hooks, and its target for when it is compiled."""
        probes, with_keywords = self._probes.get(id(module), []), self._with_keywords.get(id(module), [])
        placed = probes + with_keywords
        if not placed:
            return
        names = [one.name for one in placed]
        self._targets.add(module, names, len(names), *((name,) for name in names))
        functions = tuple(one.function for one in probes)
        if functions:
            self._handles.append(module.register_forward_hook(self._make_hook(functions, 0)))
        if with_keywords:
            functions = tuple(one.function for one in with_keywords)
            hook = self._make_hook(functions, len(probes), with_keywords=True)
            self._handles.append(module.register_forward_hook(hook, with_kwargs=True))

    def _make_hook(self, functions: tuple[Callable[..., Any], ...], first: int, *, with_keywords: bool = False) -> Hook:
        """The forward hook of all modules that have these probes; `first` is the place of the first one's value.

        It looks nothing up by module before it knows that it is not being compiled: otherwise a block that is compiled
        once for all layers would be compiled anew for each. (The options of a hook do that as well, so only probes that
        ask for keyword arguments have them.)
        """
        known = self._hooks.get((functions, first, with_keywords))
        if known is not None:
            return known
        run, targets, probes = self._run, self._targets, self._with_keywords if with_keywords else self._probes

        def after(module: nn.Module, inputs: tuple[Any, ...], *rest: Any) -> None:
            # The hook's arguments end with (keywords, output) or (output); a probe's with (output, keywords).
            arguments = (module, inputs, *reversed(rest))
            if torch.compiler.is_dynamo_compiling():
                _look_compiled(targets, functions, first, arguments)
            else:
                run(probes.get(id(module), ()), arguments)

        hook = self._hooks[functions, first, with_keywords] = Hook(after)
        return hook

    def _run(self, all_placed: Iterable[_Placed], arguments: tuple[Any, ...]) -> None:
        if not arguments[0].training or not self._due():
            return
        for placed in all_placed:
            if not self._values.has((placed.name,)):
                self._faults.run(f"probe {placed.name}", self._look, placed.name, placed.function, arguments)

    def _look(self, name: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        with torch.no_grad():
            self._keep(name, function(*arguments))

    def _keep(self, name: str, value: Any) -> None:
        with torch.no_grad():
            reduced = reduce(value)
        if reduced is not None:
            self._values.put((name,), reduced)


class _Emitted:
    """The names of the places of a module that emits, as far as they are known."""

    def __init__(self, hooks: ProbeHooks, module: nn.Module) -> None:
        self._hooks = hooks
        self._module = module

    def __iter__(self) -> Iterator[str]:
        for metric in list(self._hooks.emitted_metrics):
            yield self._hooks.emitted_name(self._module, metric)


def _look_compiled(
    targets: ProbePulse, functions: tuple[Callable[..., Any], ...], first: int, arguments: tuple[Any, ...]
) -> None:
    """What a hook does in code that torch.compile traces."""
    target = targets.target_of(arguments[0])
    if target is None:
        return
    with torch.no_grad():
        for place, function in enumerate(functions, first):
            value = _outcome(function, arguments)
            if value is not None:
                targets.put(target, place, value)


def _outcome(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Tensor | None:
    try:
        return reduce(function(*arguments))
    except Exception:  # noqa: BLE001  a probe that raises while it is traced has no value, and the compiling goes on
        return None


def _reduced(value: Any) -> Tensor | None:
    try:
        return reduce(value)
    except Exception:  # noqa: BLE001  as above
        return None


def reduce(value: Any) -> Tensor | None:
    """One number of what a probe returned: a 0-d tensor as it is, the 2-norm of everything else."""
    if isinstance(value, Tensor) and value.ndim == 0:
        return value.detach()
    tensors = [tensor.detach() for tensor in _tensors(value)]
    if not tensors:
        return None
    by_dtype: dict[torch.dtype, list[Tensor]] = {}
    for tensor in tensors:
        by_dtype.setdefault(tensor.dtype, []).append(tensor)
    parts = [norms(group, dtype) for dtype, group in by_dtype.items()]
    together = torch.cat(parts)
    return together[0] if together.numel() == 1 else torch.linalg.vector_norm(together)


def _tensors(value: Any) -> Iterable[Tensor]:
    """All tensors of what a probe returned, integers as floating-point numbers."""
    if isinstance(value, Tensor):
        yield value if value.is_floating_point() or value.is_complex() else value.to(torch.float32)
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _tensors(part)
    elif isinstance(value, Iterable) and not isinstance(value, str):
        for part in value:
            yield from _tensors(part)
    elif hasattr(value, "values"):  # a TensorDict is no Mapping
        yield from _tensors(value.values())
    elif value is not None:
        raise TypeError(f"a probe returns tensors, or None for nothing; this one returned {type(value).__name__}")


def _takes_four(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return len(positional) > 3 or any(p.kind is p.VAR_POSITIONAL for p in parameters)


def _some(paths: Iterable[str]) -> str:
    names = [path for path in paths if path]
    return ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
