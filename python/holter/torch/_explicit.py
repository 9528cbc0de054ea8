"""One line inside a forward pass: `emit` for what a module does not return, `attention` for its own attention.

Both cost a look-up and do nothing while no watch follows the module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import torch

from ._attention import make_call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import Tensor, nn

    from ._attention_math import AttentionCall


class Listener(Protocol):
    """A watch, as a module sees it."""

    def emitted(self, module: nn.Module, metric: str, value: Any) -> None:
        """A module named a tensor."""

    def attended(self, module: nn.Module, call: Callable[[], AttentionCall | None]) -> None:
        """A module told of an attention call; `call` gives it in full, if it is wanted."""


# Keyed by identity: a watch holds its model, so an id here always means a living module.
_listeners: dict[int, tuple[Listener, ...]] = {}


def listen(modules: Iterable[nn.Module], listener: Listener) -> None:
    """Have what these modules emit go to a listener as well."""
    for module in modules:
        _listeners[id(module)] = (*_listeners.get(id(module), ()), listener)


def unlisten(modules: Iterable[nn.Module], listener: Listener) -> None:
    """Undo `listen`."""
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
    if torch.compiler.is_compiling():
        return
    for listener in _listeners.get(id(module), ()):
        if module.training and torch.is_grad_enabled():
            listener.emitted(module, name, tensor)


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    *,
    mask: Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
    softcap: float | None = None,
    window: int | None = None,
) -> None:
    """Tell of an attention that no known function computes; nothing happens while the module is not watched.

    Args:
        module: the module, `self` in its own forward.
        query: `[batch, heads, queries, width]`, as it goes into the product with the keys (after any rotation).
        key: `[batch, key heads, keys, width]`.
        mask: True where a query may attend, or a float that is added to the scores; broadcasts to
            `[batch, heads, queries, keys]`.
        is_causal: query i sees keys 0 to i only.
        scale: what the scores are multiplied with; None for 1/sqrt(width).
        softcap: scores become softcap · tanh(scores / softcap) before the mask; None for no cap.
        window: query i sees none of the keys up to i - window; None for no window.
    """
    if torch.compiler.is_compiling():
        return
    for listener in _listeners.get(id(module), ()):
        if module.training and torch.is_grad_enabled():
            listener.attended(
                module,
                lambda: make_call(
                    query, key, mask=mask, is_causal=is_causal, scale=scale, softcap=softcap, window=window
                ),
            )
