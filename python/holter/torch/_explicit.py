"""Functions to call inside a module's forward: `emit` records a tensor, `attention` reports an attention call.

While no watch follows the module, each costs a dictionary lookup and does nothing.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Protocol

import torch

from holter.torch._attention_call import make_call
from holter.torch._flex import split_mask, with_functions

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from torch import Tensor, nn
    from torch.nn.attention.flex_attention import BlockMask

    from holter.torch._attention_call import AttentionCall


class Listener(Protocol):
    """Receives the tensors and attention calls that modules report."""

    def on_emit(self, module: nn.Module, metric: str, value: Any) -> None:
        """Handle an emitted tensor."""

    def on_attention(self, module: nn.Module, call: Callable[[], AttentionCall | None]) -> None:
        """Handle an attention call; `call` builds its description, which the listener may not need."""

    def on_emit_traced(self, module: nn.Module, metric: str, value: Any) -> None:
        """Handle an emitted tensor in code that torch.compile traces."""

    def on_attention_traced(self, module: nn.Module, call: AttentionCall | None) -> None:
        """Handle an attention call in code that torch.compile traces."""


# Keyed by id: a watch keeps its model alive, so an id in here always belongs to a live module.
_listeners: dict[int, tuple[Listener, ...]] = {}
# Compiled code notifies all listeners: a lookup by id would make torch compile each layer separately.
_all_listeners: list[Listener] = []


def add_listener(modules: Iterable[nn.Module], listener: Listener) -> None:
    """Notify a listener of everything that these modules report."""
    _all_listeners.append(listener)
    for module in modules:
        _listeners[id(module)] = (*_listeners.get(id(module), ()), listener)


def remove_listener(modules: Iterable[nn.Module], listener: Listener) -> None:
    """Undo `add_listener`."""
    if listener in _all_listeners:
        _all_listeners.remove(listener)
    for module in modules:
        others = tuple(other for other in _listeners.get(id(module), ()) if other is not listener)
        if others:
            _listeners[id(module)] = others
        else:
            _listeners.pop(id(module), None)


def emit(module: nn.Module, name: str, tensor: Any) -> None:
    """Record a tensor from inside a module's forward. Does nothing while the module is not watched.

    Recorded as `{name}/layer_{i}`, with the module's layer number: the value of a 0-d tensor, or the 2-norm of all
    elements of anything else, as for the result of a `Probe`.

    Args:
        module: The module: `self` in its own forward.
        name: The metric's name, for example `memory_write_norm`.
        tensor: A tensor of any shape and dtype, or a tuple, list or mapping of tensors. It is neither changed nor kept.
    """
    if torch.compiler.is_dynamo_compiling():
        for listener in _all_listeners:
            listener.on_emit_traced(module, name, tensor)
        return
    for listener in _listeners.get(id(module), ()):
        if module.training and torch.is_grad_enabled():
            listener.on_emit(module, name, tensor)


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    *,
    mask: Tensor | BlockMask | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    softcap: float | None = None,
    window: int | None = None,
    score_mod: Callable[..., Tensor] | None = None,
) -> None:
    """Report an attention call that is computed by a custom kernel. Does nothing while the module is not watched.

    Args:
        module: The module: `self` in its own forward.
        query: `[batch, heads, queries, width]`, any floating-point dtype, as multiplied by the keys (after any
            rotary embedding).
        key: `[batch, key heads, keys, width]`; a key head may serve several query heads.
        mask: A bool tensor, True where a query may attend, or a float tensor that is added to the scores; broadcasts
            to `[batch, heads, queries, keys]`. Or a FlexAttention BlockMask.
        is_causal: Query i attends to keys 0 to i only.
        scale: The factor of the scores; None for 1/sqrt(width).
        softcap: Replace the scores by softcap · tanh(scores / softcap) before the mask; None for no cap.
        window: Query i does not attend to keys i - window and below; None for no window.
        score_mod: A FlexAttention score function; None for none. In code that torch.compile traces, a call with a
            score function or a BlockMask is not recorded.
    """
    dense, block_mask = split_mask(mask)
    has_functions = block_mask is not None or score_mod is not None

    def call() -> AttentionCall | None:
        found = make_call(query, key, mask=dense, is_causal=is_causal, scale=scale, softcap=softcap, window=window)
        return None if found is None else with_functions(found, block_mask, score_mod)

    if torch.compiler.is_dynamo_compiling():
        for listener in () if has_functions else _all_listeners:
            listener.on_attention_traced(module, call())
        return
    for listener in _listeners.get(id(module), ()):
        if module.training and torch.is_grad_enabled():
            listener.on_attention(module, call)


def modules_calling(function: Callable[..., None], modules: Collection[nn.Module]) -> set[int]:
    """Return the ids of the modules whose code calls `emit` or `attention`; compiled code needs a target for each.

    A call is found by name (`emit(…)`, `holter.torch.emit(…)`), not through another name or a helper function.
    """
    found: dict[type, bool] = {}
    for module in modules:
        kind = type(module)
        if kind not in found:
            found[kind] = any(_mentions(method, function) for method in _methods(kind))
    return {id(module) for module in modules if found[type(module)]}


def _methods(kind: type) -> Iterable[Any]:
    """Yield the methods of a class and its bases, except those of torch, which never call these functions."""
    for base in kind.__mro__:
        if not base.__module__.startswith(("torch.", "builtins")):
            yield from (value for value in vars(base).values() if inspect.isfunction(value))


def _mentions(method: Any, function: Callable[..., None]) -> bool:
    names = method.__code__.co_names
    values = [method.__globals__.get(name) for name in names]
    if any(value is function for value in values):
        return True
    has_module = any(inspect.ismodule(value) and value.__name__.startswith("holter") for value in values)
    return function.__name__ in names and has_module
