"""Module hooks that copies of a watched module do not inherit.

torch copies and pickles a module together with its hooks. A copy is not watched, so each hook becomes a no-op in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Hook:
    """A forward hook or forward pre-hook."""

    # torch.jit and profilers read a hook's name.
    __name__ = "holter_hook"

    def __init__(self, function: Callable[..., None]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> None:
        self._function(*arguments)

    def __reduce__(self) -> tuple[Callable[[], Callable[..., None]], tuple[()]]:
        return _hook_of_copy, ()


def _hook_of_copy() -> Callable[..., None]:
    return noop


def noop(*_arguments: Any) -> None:
    """Do nothing: stands in for each hook in a copy of a watched module."""
