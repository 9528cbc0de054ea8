"""One line inside a forward pass: `emit` for what a module does not return, `attention` for its own attention.

Both cost a look-up and do nothing while no watch follows the module.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Protocol

import torch

from holter.torch._attention_math import make_call
from holter.torch._flex import split_mask, with_functions

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from torch import Tensor, nn
    from torch.nn.attention.flex_attention import BlockMask

    from holter.torch._attention_math import AttentionCall


class Listener(Protocol):
    """A watch, as a module sees it."""

    def emitted(self, module: nn.Module, metric: str, value: Any) -> None:
        """A module named a tensor."""

    def attended(self, module: nn.Module, call: Callable[[], AttentionCall | None]) -> None:
        """A module told of an attention call; `call` gives it in full, if it is wanted."""

    def emitted_compiled(self, module: nn.Module, metric: str, value: Any) -> None:
        """The same as `emitted`, in code that torch.compile traces."""

    def attended_compiled(self, module: nn.Module, call: AttentionCall | None) -> None:
        """The same as `attended`, in code that torch.compile traces."""


# Keyed by identity: a watch holds its model, so an id here always means a living module.
_listeners: dict[int, tuple[Listener, ...]] = {}
# Compiled code asks every one of them: an identity would have each layer compiled anew.
_all_listeners: list[Listener] = []


def listen(modules: Iterable[nn.Module], listener: Listener) -> None:
    """Have what these modules emit go to a listener as well."""
    _all_listeners.append(listener)
    for module in modules:
        _listeners[id(module)] = (*_listeners.get(id(module), ()), listener)


def unlisten(modules: Iterable[nn.Module], listener: Listener) -> None:
    """Undo `listen`."""
    if listener in _all_listeners:
        _all_listeners.remove(listener)
    for module in modules:
        left = tuple(other for other in _listeners.get(id(module), ()) if other is not listener)
        if left:
            _listeners[id(module)] = left
        else:
            _listeners.pop(id(module), None)


def emit(module: nn.Module, name: str, tensor: Any) -> None:
    """Record a tensor from inside a module's forward pass; nothing happens while the module is not watched.

    Recorded as `{name}/layer_{i}` with the module's layer: a 0-d tensor as it is, anything else by the 2-norm of all
    its elements, as a `Probe`'s result.

    Args:
        module: the module, `self` in its own forward.
        name: the metric's name, for example `memory_write_norm`.
        tensor: a tensor, or several in a tuple, list or mapping. It is neither changed nor kept.
    """
    if torch.compiler.is_dynamo_compiling():
        for listener in _all_listeners:
            listener.emitted_compiled(module, name, tensor)
        return
    for listener in _listeners.get(id(module), ()):
        if module.training and torch.is_grad_enabled():
            listener.emitted(module, name, tensor)


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
    """Tell of an attention that no known function computes; nothing happens while the module is not watched.

    Args:
        module: the module, `self` in its own forward.
        query: `[batch, heads, queries, width]`, as it goes into the product with the keys (after any rotation).
        key: `[batch, key heads, keys, width]`.
        mask: True where a query may attend, or a float that is added to the scores; broadcasts to
            `[batch, heads, queries, keys]`. Or FlexAttention's BlockMask.
        is_causal: query i sees keys 0 to i only.
        scale: what the scores are multiplied with; None for 1/sqrt(width).
        softcap: scores become softcap · tanh(scores / softcap) before the mask; None for no cap.
        window: query i sees none of the keys up to i - window; None for no window.
        score_mod: FlexAttention's function of a score and its place; None for none. In code that torch.compile traces,
            a call with such a function or a BlockMask is passed over.
    """
    dense, block_mask = split_mask(mask)
    has_functions = block_mask is not None or score_mod is not None

    def call() -> AttentionCall | None:
        found = make_call(query, key, mask=dense, is_causal=is_causal, scale=scale, softcap=softcap, window=window)
        return None if found is None else with_functions(found, block_mask, score_mod)

    if torch.compiler.is_dynamo_compiling():
        for listener in () if has_functions else _all_listeners:
            listener.attended_compiled(module, call())
        return
    for listener in _listeners.get(id(module), ()):
        if module.training and torch.is_grad_enabled():
            listener.attended(module, call)


def tellers(modules: Collection[nn.Module], line: Callable[..., None]) -> set[int]:
    """The ids of the modules in whose code one of the two lines stands; compiled code needs a place for each.

    Found by name: `emit(…)`, `torch_probes.emit(…)`, not what is called through another name or another function.
    """
    found: dict[type, bool] = {}
    for module in modules:
        kind = type(module)
        if kind not in found:
            found[kind] = any(_mentions(function, line) for function in _functions(kind))
    return {id(module) for module in modules if found[type(module)]}


def _functions(kind: type) -> Iterable[Any]:
    """What a class and its own bases define; torch's modules never have the line."""
    for base in kind.__mro__:
        if not base.__module__.startswith(("torch.", "builtins")):
            yield from (value for value in vars(base).values() if inspect.isfunction(value))


def _mentions(function: Any, line: Callable[..., None]) -> bool:
    names = function.__code__.co_names
    values = [function.__globals__.get(name) for name in names]
    if any(value is line for value in values):
        return True
    has_module = any(inspect.ismodule(value) and value.__name__.startswith("holter") for value in values)
    return line.__name__ in names and has_module
