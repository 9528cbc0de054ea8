"""Patches: another library's function replaced for as long as a watch listens, and put back afterwards.

A patch is shared: the first listener installs it, the last one to leave removes it, in whatever order watches end.
"""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

L = TypeVar("L")

_MISSING = object()
_lock = threading.Lock()


class Patch(Generic[L]):
    """One attribute of a module or class.

    Args:
        owner: the module or class.
        attribute: the function's name in it.
        call: does the work: `call(listeners, original, *args, **kwargs)` returns what the caller is to get.
    """

    def __init__(self, owner: Any, attribute: str, call: Callable[..., Any]) -> None:
        self._owner = owner
        self._attribute = attribute
        self._call = call
        self._listeners: tuple[L, ...] = ()
        self._original: Any = _MISSING
        self._replacement: Any = None

    def add(self, listener: L) -> None:
        """Start listening; the first listener installs the patch."""
        with _lock:
            self._listeners = (*self._listeners, listener)
            # A foreign wrapper may lie over ours from an earlier watch; ours then still works beneath it.
            if self._original is _MISSING:
                self._install()

    def remove(self, listener: L) -> None:
        """Stop listening; the last listener to leave restores the original."""
        with _lock:
            self._listeners = tuple(other for other in self._listeners if other is not listener)
            if not self._listeners and getattr(self._owner, self._attribute, None) is self._replacement:
                setattr(self._owner, self._attribute, self._original)
                self._original = _MISSING
                self._replacement = None

    def _install(self) -> None:
        original = self._original = getattr(self._owner, self._attribute)

        @functools.wraps(original)
        def replacement(*args: Any, **kwargs: Any) -> Any:
            return self._call(self._listeners, original, *args, **kwargs)

        self._replacement = replacement
        setattr(self._owner, self._attribute, replacement)
