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

from ._gradients import norms
from ._names import labels, layer_number, matches

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn
    from torch.utils.hooks import RemovableHandle

    from ._faults import Faults
    from ._values import StepValues


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
    with_keywords: bool


class ProbeHooks:
    """The forward hooks of all probes of one watch, and the reception of what modules emit."""

    def __init__(
        self,
        paths: Mapping[str, nn.Module],
        probes: Iterable[Probe],
        values: StepValues,
        faults: Faults,
        due: Callable[[], bool],
    ) -> None:
        self._values = values
        self._faults = faults
        self._due = due
        self._handles: list[RemovableHandle] = []
        self._paths = {id(module): path for path, module in paths.items()}
        self._emitted: dict[tuple[str, int], str] = {}
        self._probes: dict[int, list[_Placed]] = {}
        self._with_keywords: dict[int, list[_Placed]] = {}
        self._after, self._after_with_keywords = self._make_hooks()
        for probe in probes:
            found = {path: module for path, module in paths.items() if matches(path, probe.module_pattern)}
            if not found:
                raise ValueError(
                    f"the probe {probe.metric!r} is for modules like {probe.module_pattern!r}, but the model has none; "
                    f"its modules are {_some(paths)}"
                )
            with_keywords = _takes_four(probe.function)
            for path, label in labels(found).items():
                self._place(found[path], _Placed(f"{probe.metric}/{label}", probe.function, with_keywords))

    @property
    def is_wanted(self) -> bool:
        """Whether there is any probe."""
        return bool(self._probes or self._with_keywords)

    def emit(self, module: nn.Module, metric: str, value: Any) -> None:
        """Take what a module emitted: the same reduction as for a probe's result."""
        if not self._due():
            return
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
        if not self._values.has((name,)):
            self._faults.run(f"emit of {name}", self._keep, name, value)

    def close(self) -> None:
        """Take every hook off."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _place(self, module: nn.Module, placed: _Placed) -> None:
        if placed.with_keywords:
            self._with_keywords.setdefault(id(module), []).append(placed)
            if len(self._with_keywords[id(module)]) == 1:
                self._handles.append(module.register_forward_hook(self._after_with_keywords, with_kwargs=True))
            return
        self._probes.setdefault(id(module), []).append(placed)
        if len(self._probes[id(module)]) == 1:
            self._handles.append(module.register_forward_hook(self._after))

    def _make_hooks(self) -> tuple[Callable[..., None], Callable[..., None]]:
        """The two forward hooks.

        They are the same for every module, and look nothing up before they know that they are not being compiled:
        otherwise a block that is compiled once for all layers would be compiled anew for each. (The options of a hook
        do that as well, so only probes that ask for keyword arguments have them.) They are functions, not methods, so
        that a copy of the model does not copy the watch.
        """
        run, probes, with_keywords = self._run, self._probes, self._with_keywords

        def after(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            if not torch.compiler.is_compiling():
                run(probes.get(id(module), ()), (module, inputs, output))

        def after_with_keywords(
            module: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any], output: Any
        ) -> None:
            if not torch.compiler.is_compiling():
                run(with_keywords.get(id(module), ()), (module, inputs, output, keywords))

        return after, after_with_keywords

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
