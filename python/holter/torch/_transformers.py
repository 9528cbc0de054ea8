"""Hugging Face models: what attends without `scaled_dot_product_attention`, as it passes by.

Their models look the function up in a registry by the model's `attn_implementation`. "sdpa" needs nothing of this. For
flash-attn and FlexAttention the registry's entries are replaced. "eager" is in no registry: each model's file has a
function of its own for it, looked up by its name at every call. All of them get the module as their first argument.
transformers itself is never imported.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Protocol

import torch

from holter.torch._attention_math import AttentionCall, make_call
from holter.torch._flex import split_mask, with_functions
from holter.torch._patches import Patch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import Tensor, nn

    from holter.torch._compiled import AttentionPulse

_EAGER = "eager_attention_forward"


class CallListener(Protocol):
    """Who is told of a module's attention calls."""

    pulse: AttentionPulse

    def explicit(self, module: nn.Module, call: Callable[[], AttentionCall | None]) -> None:
        """A module attends."""


_patches: dict[tuple[str, str], Patch[CallListener]] = {}


def patches_for(modules: Iterable[nn.Module]) -> list[Patch[CallListener]]:
    """The patches that show the calls of these modules: one per file, and one per entry of the registry."""
    files = sorted({type(module).__module__ for module in modules})
    found = [
        _patch((file, _EAGER), sys.modules[file], _eager)
        for file in files
        if callable(getattr(sys.modules.get(file), _EAGER, None))
    ]
    if found:
        registry = getattr(sys.modules.get("transformers.modeling_utils"), "AttentionInterface", None)
        entries: Any = getattr(registry, "_global_mapping", {})
        kinds = {name: call for name in entries for part, call in _REGISTERED.items() if part in name}
        found += [_patch(("", name), entries, call) for name, call in kinds.items()]
    return found


def _patch(place: tuple[str, str], owner: Any, call: Callable[..., Any]) -> Patch[CallListener]:
    known = _patches.get(place)
    if known is None or not known.is_of(owner):
        known = _patches[place] = Patch(owner, place[1], call)
    return known


def _tell(listeners: tuple[CallListener, ...], module: nn.Module, call: Callable[[], AttentionCall | None]) -> None:
    if torch.compiler.is_dynamo_compiling():
        for listener in listeners:
            listener.pulse.attend(call(), module)
    elif module.training and not torch.compiler.is_compiling():
        for listener in listeners:
            listener.explicit(module, call)


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

    def call() -> AttentionCall | None:
        return _known(module, query, key, kwargs, mask=attention_mask, scale=args[0] if args else None)

    _tell(listeners, module, call)
    return original(module, query, key, value, attention_mask, *args, **kwargs)


def _flex(  # noqa: PLR0917  as above
    listeners: tuple[CallListener, ...],
    original: Callable[..., Any],
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Any,
    *args: Any,
    **kwargs: Any,
) -> Any:
    """Stands in for the registry's `flex_attention_forward`."""

    def call() -> AttentionCall | None:
        if kwargs.get("position_bias") is not None:
            return None
        mask, block_mask = split_mask(attention_mask)
        if mask is not None:
            mask = mask[..., : key.shape[-2]]
        found = _known(module, query, key, kwargs, mask=mask)
        return None if found is None else with_functions(found, block_mask)

    _tell(listeners, module, call)
    return original(module, query, key, value, attention_mask, *args, **kwargs)


def _flash(  # noqa: PLR0917  as above
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
    """Stands in for the registry's `flash_attention_forward`, whose mask says which tokens are no padding."""

    def call() -> AttentionCall | None:
        # Sequences packed into one row are told apart by what only the kernel's own code understands.
        is_packed = kwargs.get("cu_seq_lens_q") is not None
        if is_packed or (attention_mask is not None and attention_mask.ndim != 2):
            return None
        is_causal = kwargs.get("is_causal")
        if is_causal is None:
            is_causal = getattr(module, "is_causal", True)
        mask = None if attention_mask is None else attention_mask[:, None, None, -key.shape[-2] :].bool()
        window = kwargs.get("sliding_window")
        found = _known(module, query, key, kwargs, mask=mask, is_causal=is_causal, window=window)
        if found is None:
            return None
        positions = kwargs.get("position_ids")
        if positions is not None and (mask is not None or positions.shape != (1, key.shape[-2])):
            positions = None
        ahead = None if is_causal else window
        return found if ahead is None and positions is None else found.adjusted(_hidden(ahead, positions))

    _tell(listeners, module, call)
    return original(module, query, key, value, attention_mask, *args, **kwargs)


def _hidden(window: int | None, positions: Tensor | None) -> Callable[[Tensor, Tensor], Tensor]:
    """Hides what flash-attn's kernels do not see without being given a mask.

    Args:
        window: query i sees none of the keys from i + window on. (A call's own window hides those behind.)
        positions: `[1, keys]`; a single row may consist of several texts, each of which begins at position 0.
    """

    def adjust(scores: Tensor, rows: Tensor) -> Tensor:
        if window is not None:
            ahead = torch.arange(scores.shape[-1], device=rows.device) - rows[:, None]
            scores = scores.masked_fill(ahead >= window, float("-inf"))
        if positions is not None:
            text = (positions[0] == 0).cumsum(0)
            is_other = text.index_select(0, rows)[:, None] != text[: scores.shape[-1]]
            scores = scores.masked_fill(is_other, float("-inf"))
        return scores

    return adjust


def _known(
    module: nn.Module, query: Tensor, key: Tensor, kwargs: dict[str, Any], *, scale: float | None = None, **known: Any
) -> AttentionCall | None:
    """The call; None for a model whose weights have a part that is in neither queries nor keys (attention sinks)."""
    if getattr(module, "sinks", None) is not None or kwargs.get("s_aux") is not None:
        return None
    scale = kwargs.get("scaling", scale)
    return make_call(query, key, scale=scale, softcap=kwargs.get("softcap"), **known)


_REGISTERED = {"flash": _flash, "flex": _flex}
"""What stands in for the registry's entries whose name has this in it."""
