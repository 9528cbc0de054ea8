"""Patches: another library's function replaced for as long as a watch listens, and put back afterwards.

A patch is shared: the first listener installs it, the last one to leave removes it, in whatever order watches end.
"""

from __future__ import annotations

import functools
import inspect
import sys
import threading
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

L = TypeVar("L")

_lock = threading.Lock()

_MARK = "_holter_original"
"""Under this a replacement has what it stands in for."""


def holders(function: Any, home: Any) -> list[tuple[Any, str]]:
    """The loaded modules that have a function, and its names in them: itself, or what torch.compile made of it.

    Looked through are those that have something of the function's own name, and of torch only the one it is from.

    Args:
        function: what to look for. What a watch has put in its place counts as well.
        home: the module that it is from.
    """
    found = [(home, function.__name__)]
    seen = set()
    for path, module in sys.modules.copy().items():
        names = getattr(module, "__dict__", {})
        # One module may be there under several names, the main one above all.
        if function.__name__ in names and id(module) not in seen and not path.startswith(("torch.", "holter.")):
            seen.add(id(module))
            found += [(module, name) for name, value in list(names.items()) if _is_made_of(value, function)]
    return found


def _is_made_of(value: Any, function: Any) -> bool:
    """Whether a value is this function, or a compiled one of it, or our replacement of one of them."""
    while value is not function:
        if not inspect.isfunction(value):
            return False
        value = vars(value).get(_MARK, vars(value).get("_torchdynamo_orig_callable"))
    return True


class Patches(Generic[L]):
    """The patches of one function, one for each name under which loaded modules have it.

    Args:
        home: the module that the function is from.
        name: its name there.
        call: as a `Patch`'s.
    """

    def __init__(self, home: Any, name: str, call: Callable[..., Any]) -> None:
        self._home = home
        self._original = getattr(home, name)
        self._call = call
        self._patches: dict[tuple[int, str], Patch[L]] = {}

    def find(self) -> list[Patch[L]]:
        """Those of the modules that are loaded now."""
        found = []
        for owner, name in holders(self._original, self._home):
            known = self._patches.get((id(owner), name))
            if known is None or not known.is_of(owner):
                known = self._patches[id(owner), name] = Patch(owner, name, self._call)
            found.append(known)
        return found


class Patch(Generic[L]):
    """One attribute of a module or class, or one entry of a dictionary.

    Args:
        owner: the module, class or dictionary.
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

    @property
    def listeners(self) -> tuple[L, ...]:
        """Who listens, in the order in which they began."""
        return self._listeners

    def is_of(self, owner: Any) -> bool:
        """Whether this is the patch of that owner, and not of an earlier one of the same name."""
        return self._owner is owner

    def add(self, listener: L) -> None:
        """Start listening; the patch is installed where it does not lie on top."""
        with _lock:
            self._listeners = (*self._listeners, listener)
            if self._replacement is None or self._get() is not self._replacement:
                self._install()

    def remove(self, listener: L) -> None:
        """Stop listening; the last listener to leave restores what was there, unless another lies on top by now."""
        with _lock:
            self._listeners = tuple(other for other in self._listeners if other is not listener)
            if not self._listeners:
                if self._get() is self._replacement:
                    self._set(self._original)
                self._original = self._replacement = None

    def _install(self) -> None:
        original = self._original = self._get()

        @functools.wraps(original)
        def replacement(*args: Any, **kwargs: Any) -> Any:
            # Beneath another's wrapper one of ours may lie from an earlier time: only the last one tells.
            if self._replacement is not replacement:
                return original(*args, **kwargs)
            return self._call(self._listeners, original, *args, **kwargs)

        setattr(replacement, _MARK, original)
        self._replacement = replacement
        self._set(replacement)

    def _get(self) -> Any:
        if isinstance(self._owner, dict):
            return self._owner.get(self._attribute)
        return getattr(self._owner, self._attribute, None)

    def _set(self, function: Any) -> None:
        if isinstance(self._owner, dict):
            self._owner[self._attribute] = function
        else:
            setattr(self._owner, self._attribute, function)
