"""Hooks: what is put on a module in a form that a copy of the module leaves behind.

torch copies and pickles a module with its hooks. A copy is not watched; in it there is a function that does nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Hook:
    """A forward hook or forward pre-hook."""

    def __init__(self, function: Callable[..., None]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> None:
        self._function(*arguments)

    def __reduce__(self) -> tuple[Callable[[], Callable[..., None]], tuple[()]]:
        return _left_behind, ()


def _left_behind() -> Callable[..., None]:
    return nothing


def nothing(*_arguments: Any) -> None:
    """What a copy of a watched module has for each hook."""
