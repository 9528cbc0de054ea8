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
        self._original: Any = None
        self._replacement: Any = None

    def add(self, listener: L) -> None:
        """Start listening; the patch is installed where it does not lie on top."""
        with _lock:
            self._listeners = (*self._listeners, listener)
            if self._replacement is None or getattr(self._owner, self._attribute) is not self._replacement:
                self._install()

    def remove(self, listener: L) -> None:
        """Stop listening; the last listener to leave restores what was there, unless another lies on top by now."""
        with _lock:
            self._listeners = tuple(other for other in self._listeners if other is not listener)
            if not self._listeners:
                if getattr(self._owner, self._attribute, None) is self._replacement:
                    setattr(self._owner, self._attribute, self._original)
                self._original = self._replacement = None

    def _install(self) -> None:
        original = self._original = getattr(self._owner, self._attribute)

        @functools.wraps(original)
        def replacement(*args: Any, **kwargs: Any) -> Any:
            # Beneath another's wrapper one of ours may lie from an earlier time: only the last one tells.
            if self._replacement is not replacement:
                return original(*args, **kwargs)
            return self._call(self._listeners, original, *args, **kwargs)

        self._replacement = replacement
        setattr(self._owner, self._attribute, replacement)
