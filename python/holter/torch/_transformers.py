"""Hugging Face models that form their weights themselves (`attn_implementation="eager"`): their calls, as they pass by.

Each of their files has one function for it, `eager_attention_forward`, looked up by its name at every call; with the
module as its first argument. Models on "sdpa" need nothing of this. transformers itself is never imported.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Protocol

import torch

from ._attention_math import AttentionCall
from ._patches import Patch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import Tensor, nn

    from ._compiled import AttentionPulse

_FUNCTION = "eager_attention_forward"


class CallListener(Protocol):
    """Who is told of a module's attention calls."""

    pulse: AttentionPulse

    def explicit(self, module: nn.Module, call: Callable[[], AttentionCall | None]) -> None:
        """A module attends."""


_patches: dict[str, Patch[CallListener]] = {}


def patches_for(modules: Iterable[nn.Module]) -> list[Patch[CallListener]]:
    """The patches, one per file, that show the calls of these modules."""
    files = {type(module).__module__ for module in modules}
    found = sorted(file for file in files if callable(getattr(sys.modules.get(file), _FUNCTION, None)))
    for file in found:
        if file not in _patches:
            _patches[file] = Patch(sys.modules[file], _FUNCTION, _eager)
    return [_patches[file] for file in found]


def _eager(  # noqa: PLR0917  the signature of what it stands in for
    listeners: tuple[CallListener, ...],
    original: Callable[..., Any],
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *args: Any,
    **kwargs: Any,
) -> Any:
    """Stands in for `eager_attention_forward`."""
    if torch.compiler.is_dynamo_compiling():
        for listener in listeners:
            call = _call(module, query, key, mask=attention_mask, args=args, kwargs=kwargs)
            listener.pulse.attend(call, module)
    elif module.training and not torch.compiler.is_compiling():
        for listener in listeners:
            listener.explicit(module, lambda: _call(module, query, key, mask=attention_mask, args=args, kwargs=kwargs))
    return original(module, query, key, value, attention_mask, *args, **kwargs)


def _call(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    *,
    mask: Tensor | None,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> AttentionCall | None:
    """The call; None for a model whose weights have a part that is in neither queries nor keys (attention sinks)."""
    if getattr(module, "sinks", None) is not None or kwargs.get("s_aux") is not None:
        return None
    scale = kwargs.get("scaling", args[0] if args else None)
    return AttentionCall(query, key, mask, scale=scale, softcap=kwargs.get("softcap"))
