"""Code that runs without training: while a model is exported, traced or scripted, or on tensors without data.

Hooks and patched functions do nothing there. torch.compile is not such a case: see `_compiled.py`.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.fx import Proxy, _symbolic_trace
from torch.utils import _python_dispatch

from holter.torch._hooks import Hook
from holter.torch._patches import Patch, suspended_patches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TARGET_PREFIX = "_holter_"
"""Prefix of the module attributes that hold the targets of compiled code."""

_paused = threading.local()
_is_exporting: Callable[[], bool] | None = getattr(torch.compiler, "is_exporting", None)
# Later versions of torch log a warning in the public function.
_is_fx_tracing: Callable[[], bool] = getattr(_symbolic_trace, "_get_is_fx_tracing", _symbolic_trace.is_fx_tracing)


def is_exporting() -> bool:
    """Return whether torch.export traces the code. Can be called in code that dynamo traces."""
    return _is_exporting is not None and _is_exporting()


def is_capturing() -> bool:
    """Return whether the program is capturing a CUDA graph.

    Python then runs only once and its tensors belong to the graph, so eager probes must not run.
    """
    cuda: Any = torch.cuda
    return bool(cuda.is_initialized() and cuda.is_current_stream_capturing())


def is_abstract() -> bool:
    """Return whether this code does not compute a training's values, or computes values that must not be kept.

    True while a CUDA graph is captured, inside torch.func, in torch.export, torch.jit.trace and torch.fx, and under a
    mode of fake tensors.
    """
    return (
        torch._C._functorch.peek_interpreter_stack() is not None  # noqa: SLF001  no public API
        or torch.compiler.is_compiling()
        or torch._C._get_tracing_state() is not None  # noqa: SLF001  as torch.jit.is_tracing, which has no type
        or _is_fx_tracing()
        or getattr(_paused, "is_paused", False)
        or is_fake()
        or is_capturing()
    )


def is_fake() -> bool:
    """Return whether operations run on fake tensors, or are traced into a graph."""
    return _len_modes() > 0 and any(_is_infrastructure(mode) for mode in _modes())


def has_data(value: Any) -> bool:
    """Return whether a tensor holds numbers: it is neither a meta tensor, nor a fake one, nor a torch.fx proxy."""
    if isinstance(value, torch.Tensor):
        return value.device.type != "meta" and not isinstance(value, FakeTensor)
    return not isinstance(value, Proxy)


def all_have_data(values: Any, depth: int = 3) -> bool:
    """Return whether a value, and the elements of tuples, lists and dicts down to a depth, hold numbers."""
    if depth and isinstance(values, (tuple, list)):
        return all(all_have_data(value, depth - 1) for value in values)
    if depth and isinstance(values, dict):
        return all(all_have_data(value, depth - 1) for value in values.values())
    return has_data(values)


def without_modes() -> contextlib.AbstractContextManager[Any]:
    """Hide the operations inside the block from dispatch modes.

    Such modes count floating-point operations or, for selective checkpointing, store the results of the forward pass in
    order. Additional operations would change their results.
    """
    return _python_dispatch._disable_current_modes() if _len_modes() else contextlib.nullcontext()  # noqa: SLF001


def _len_modes() -> int:
    count: int = torch._C._len_torch_dispatch_stack()  # noqa: SLF001  no public API
    return count


_INFRASTRUCTURE = tuple(torch._C._TorchDispatchModeKey.__members__.values())  # noqa: SLF001  as above


def _modes() -> list[Any]:
    return list(_python_dispatch._get_current_dispatch_mode_stack())  # noqa: SLF001  as above


def _is_infrastructure(mode: Any) -> bool:
    """Return whether a mode runs operations without their data: fake tensors, and tracing into a graph."""
    return getattr(mode, "_mode_key", None) in _INFRASTRUCTURE


@contextlib.contextmanager
def _pausing() -> Iterator[None]:
    before = getattr(_paused, "is_paused", False)
    _paused.is_paused = True
    try:
        yield
    finally:
        _paused.is_paused = before


@contextlib.contextmanager
def _stripped(model: Any) -> Iterator[None]:
    """Remove all hooks and attributes of watches from a model inside the block."""
    modules = list(model.modules()) if isinstance(model, torch.nn.Module) else []
    changes: list[tuple[dict[Any, Any], dict[Any, Any]]] = []
    for module in modules:
        found = {
            **{name: value for name, value in vars(module).items() if name.startswith(TARGET_PREFIX)},
            "_forward_hooks": _without_ours(module._forward_hooks),  # noqa: SLF001  no public API
            "_forward_pre_hooks": _without_ours(module._forward_pre_hooks),  # noqa: SLF001  as above
        }
        changes.append((module.__dict__, {name: vars(module)[name] for name in found}))
        for name, value in found.items():
            if name.startswith(TARGET_PREFIX):
                del module.__dict__[name]
            else:
                module.__dict__[name] = value
    try:
        yield
    finally:
        for attributes, values in changes:
            attributes.update(values)


def _without_ours(hooks: dict[int, Any]) -> dict[int, Any]:
    return type(hooks)((key, hook) for key, hook in hooks.items() if not isinstance(hook, Hook))


def _script_module(_listeners: tuple[Any, ...], original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Replace the function of torch.jit that compiles a module: it cannot compile hooks and patched functions."""
    with _stripped(args[0] if args else kwargs.get("nn_module")), suspended_patches():
        return original(*args, **kwargs)


def _script_function(_listeners: tuple[Any, ...], original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Replace the function of torch.jit that compiles a function."""
    with suspended_patches():
        return original(*args, **kwargs)


def _check_trace(_listeners: tuple[Any, ...], original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Replace the function with which torch.jit.trace runs a model again to check its result."""
    with _pausing():
        return original(*args, **kwargs)


script_calls: tuple[Patch[Any], ...] = tuple(
    Patch(owner, name, call)
    for owner, name, call in (
        (torch.jit._recursive, "create_script_module", _script_module),  # noqa: SLF001  no public API
        (torch._C, "_jit_script_compile", _script_function),  # noqa: SLF001  as above
        (torch.jit._trace, "_check_trace", _check_trace),  # noqa: SLF001  as above
    )
    if hasattr(owner, name)
)
"""Patches of torch.jit, for as long as a watch is open."""
