"""Patches that replace functions of other libraries while a watch listens, and restore them afterwards.

Watches share a patch: the first listener installs it, and the last one to leave removes it, in any order.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

L = TypeVar("L")

_lock = threading.Lock()

_ORIGINAL = "_holter_original"
"""Attribute of a replacement that holds a pair: the replacement itself, and the function it replaces.

The first of the two is compared, because `functools.wraps` copies the attribute to other code's wrappers.
"""

ATTENTION = "attention"
"""The group of functions that compute attention: one may call another for the same layer."""

_running = threading.local()
"""The groups whose functions run on this thread, as the attribute `groups`: calls nested in them are not notified."""


def _running_groups() -> set[Any]:
    groups: set[Any] | None = getattr(_running, "groups", None)
    if groups is None:
        groups = _running.groups = set()
    return groups


_installed: weakref.WeakSet[Patch[Any]] = weakref.WeakSet()
"""The patches that have listeners."""


@contextlib.contextmanager
def suspended_patches() -> Iterator[None]:
    """Restore all original functions inside the block, except those that other code has replaced since."""
    patches = [patch for patch in list(_installed) if not patch.is_replaced]
    for patch in patches:
        patch.suspend()
    try:
        yield
    finally:
        for patch in patches:
            patch.resume()


def original_of(function: Any) -> Any:
    """Return the function below all replacements of watches; other code's wrappers are not removed."""
    while (pair := getattr(function, "__dict__", {}).get(_ORIGINAL)) is not None and pair[0] is function:
        function = pair[1]
    return function


def find_bindings(function: Any, home: Any) -> list[tuple[Any, str]]:
    """Find the loaded modules in which a function, or a compiled version of it, is bound, and its name in each.

    Searches `home` and every module outside torch that has an attribute with the function's own name.

    Args:
        function: The function to find. A watch's replacement of it also counts.
        home: The module that defines it.
    """
    found = [(home, function.__name__)]
    seen = set()
    for path, module in sys.modules.copy().items():
        names = getattr(module, "__dict__", {})
        # A module may be loaded under several names, above all the main module.
        if function.__name__ in names and id(module) not in seen and not path.startswith(("torch.", "holter.")):
            seen.add(id(module))
            found += [(module, name) for name, value in list(names.items()) if _wraps(value, function)]
    return found


def _wraps(value: Any, function: Any) -> bool:
    """Return whether a value is this function, a compiled version of it, or a watch's replacement of either."""
    while value is not function:
        inner = original_of(value)
        if inner is value:
            inner = vars(value).get("_torchdynamo_orig_callable") if inspect.isfunction(value) else None
        if inner is None:
            return False
        value = inner
    return True


class Patches(Generic[L]):
    """The patches of a function, one for each name under which a loaded module has it.

    Args:
        home: The module that defines the function.
        name: The function's name there.
        call: As for `Patch`.
        group: As for `Patch`.
    """

    def __init__(self, home: Any, name: str, call: Callable[..., Any], group: str | None = None) -> None:
        self._home = home
        self._original = getattr(home, name)
        self._call = call
        self._group = group
        self._patches: dict[tuple[int, str], Patch[L]] = {}

    def find(self) -> list[Patch[L]]:
        """Return the patches for the modules that are currently loaded."""
        found = []
        for owner, name in find_bindings(self._original, self._home):
            patch = self._patches.get((id(owner), name))
            if patch is None or not patch.is_of(owner):
                patch = self._patches[id(owner), name] = Patch(owner, name, self._call, self._group)
            found.append(patch)
        return found


class Patch(Generic[L]):
    """A patch of one attribute of a module or class, or of one entry of a dictionary.

    Args:
        owner: The module, class or dictionary.
        attribute: The function's name in it.
        call: Runs instead of the function: `call(listeners, original, *args, **kwargs)` returns the caller's result.
        group: Calls nested in a call of the same group are not notified; None for a group of all patches with this
            `call`.
    """

    def __init__(self, owner: Any, attribute: str, call: Callable[..., Any], group: str | None = None) -> None:
        self._owner = owner
        self._attribute = attribute
        self._call = call
        self._group = group or call
        self._listeners: tuple[L, ...] = ()
        self._original: Any = None
        self._replacement: Any = None

    @property
    def listeners(self) -> tuple[L, ...]:
        """The current listeners, in the order in which they were added."""
        return self._listeners

    def is_of(self, owner: Any) -> bool:
        """Return whether this patch belongs to `owner` itself, not to an earlier object with the same id."""
        return self._owner is owner

    @property
    def is_replaced(self) -> bool:
        """Whether other code has replaced the function since the patch was installed."""
        return self._replacement is not None and self._get() is not self._replacement

    @property
    def original(self) -> Any:
        """The function that a call reaches after the listeners: what was installed when the patch was."""
        return self._original if self._replacement is not None else self._get()

    @property
    def name(self) -> str:
        """The function's name, with that of its module or class if it has one."""
        owner = getattr(self._owner, "__name__", None)
        return self._attribute if owner is None else f"{owner}.{self._attribute}"

    def add(self, listener: L) -> None:
        """Add a listener, and install the patch unless it is already the outermost function."""
        with _lock:
            self._listeners = (*self._listeners, listener)
            if self._replacement is None or self._get() is not self._replacement:
                self._install()

    def remove(self, listener: L) -> None:
        """Remove a listener; the last one restores the original, unless other code has replaced the patch since.

        Other code may hold a replacement and install it again later. Without listeners it only calls its original.
        """
        with _lock:
            self._listeners = tuple(other for other in self._listeners if other is not listener)
            if not self._listeners:
                if self._get() is self._replacement:
                    self._set(self._original)
                self._original = self._replacement = None
                _installed.discard(self)

    def suspend(self) -> None:
        """Restore the original until `resume`."""
        with _lock:
            if self._replacement is not None:
                self._set(self._original)

    def resume(self) -> None:
        """Install the patch again, unless other code has replaced the original since `suspend`."""
        with _lock:
            if self._replacement is not None and self._get() is self._original:
                self._set(self._replacement)

    def _install(self) -> None:
        original = self._original = self._get()

        @functools.wraps(original)
        def replacement(*args: Any, **kwargs: Any) -> Any:
            # Another library's wrapper may still call an earlier replacement, inside or instead of the latest one.
            if torch.compiler.is_dynamo_compiling():
                if self._replacement is not replacement:
                    return original(*args, **kwargs)
                return self._call(self._listeners, original, *args, **kwargs)
            running = _running_groups()
            if not self._listeners or self._group in running:
                return original(*args, **kwargs)
            running.add(self._group)
            try:
                return self._call(self._listeners, original, *args, **kwargs)
            finally:
                running.discard(self._group)

        setattr(replacement, _ORIGINAL, (replacement, original))
        self._replacement = replacement
        _installed.add(self)
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
