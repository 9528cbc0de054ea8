"""Attention calls of Hugging Face models that do not use `scaled_dot_product_attention`.

The models look up their attention function in a registry, by the model's `attn_implementation`. "sdpa" needs no patch.
For flash-attn and FlexAttention the registry's entries are patched. "eager" is not in the registry: each model's file
has its own function, looked up by name at every call. All of these functions take the module as their first argument.
transformers itself is never imported.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import torch

from holter.torch._attention_call import AttentionCall, make_call
from holter.torch._flex import split_mask, with_functions
from holter.torch._patches import Patch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import Tensor, nn

    from holter.torch._compiled import CallListener

_EAGER = "eager_attention_forward"


_patches: dict[tuple[str, str], Patch[CallListener]] = {}


def patches_for(modules: Iterable[nn.Module]) -> list[Patch[CallListener]]:
    """Return the patches that cover these modules: one per file, and one per registry entry."""
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


def _patch(key: tuple[str, str], owner: Any, call: Callable[..., Any]) -> Patch[CallListener]:
    patch = _patches.get(key)
    if patch is None or not patch.is_of(owner):
        patch = _patches[key] = Patch(owner, key[1], call)
    return patch


def _notify(
    listeners: tuple[CallListener, ...],
    describe: Callable[..., AttentionCall | None],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> None:
    """Notify listeners of a call, whose module is its first argument; `describe` builds its description."""
    module = args[0] if args else kwargs.get("module")
    if not isinstance(module, torch.nn.Module):
        return
    if torch.compiler.is_dynamo_compiling():
        for listener in listeners:
            listener.targets.attend(describe(*args, **kwargs), module)
    elif module.training and not torch.compiler.is_compiling():
        for listener in listeners:
            listener.on_module_call(module, lambda: describe(*args, **kwargs))


def _eager(listeners: tuple[CallListener, ...], original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Replace `eager_attention_forward`."""
    _notify(listeners, _call_of_eager, args, kwargs)
    return original(*args, **kwargs)


def _flex(listeners: tuple[CallListener, ...], original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Replace the registry's `flex_attention_forward`."""
    _notify(listeners, _call_of_flex, args, kwargs)
    return original(*args, **kwargs)


def _flash(listeners: tuple[CallListener, ...], original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Replace the registry's `flash_attention_forward`."""
    _notify(listeners, _call_of_flash, args, kwargs)
    return original(*args, **kwargs)


def _call_of_eager(  # noqa: PLR0917  the signature of transformers' functions
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None = None,
    scaling: float | None = None,
    *_rest: Any,
    **kwargs: Any,
) -> AttentionCall | None:
    """Return the call of an `eager_attention_forward`."""
    del value
    return _make_call(module, query, key, kwargs, mask=attention_mask, scale=scaling)


def _call_of_flex(  # noqa: PLR0917  as above
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Any = None,
    scaling: float | None = None,
    *_rest: Any,
    **kwargs: Any,
) -> AttentionCall | None:
    """Return the call of a `flex_attention_forward`."""
    del value
    if kwargs.get("position_bias") is not None:
        return None
    mask, block_mask = split_mask(attention_mask)
    if mask is not None:
        mask = mask[..., : key.shape[-2]]
    found = _make_call(module, query, key, kwargs, mask=mask, scale=scaling)
    return None if found is None else with_functions(found, block_mask)


def _call_of_flash(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None = None,
    *_rest: Any,
    **kwargs: Any,
) -> AttentionCall | None:
    """Return the call of a `flash_attention_forward`, whose mask is True for tokens that are not padding."""
    del value
    # `cu_seq_lens` separates sequences packed into one row in a format that only the kernel interprets.
    is_packed = kwargs.get("cu_seq_lens_q") is not None
    if is_packed or (attention_mask is not None and attention_mask.ndim != 2):
        return None
    is_causal = kwargs.get("is_causal")
    if is_causal is None:
        is_causal = getattr(module, "is_causal", True)
    mask = None if attention_mask is None else attention_mask[:, None, None, -key.shape[-2] :].bool()
    window = kwargs.get("sliding_window")
    scale = kwargs.get("scaling")
    found = _make_call(module, query, key, kwargs, mask=mask, is_causal=is_causal, window=window, scale=scale)
    if found is None:
        return None
    positions = kwargs.get("position_ids")
    if positions is not None and (mask is not None or positions.shape != (1, key.shape[-2])):
        positions = None
    ahead = None if is_causal else window
    return found if ahead is None and positions is None else found.adjusted(_flash_mask(ahead, positions))


def _flash_mask(window: int | None, positions: Tensor | None) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a function that masks the scores that flash-attn's kernels mask implicitly.

    Args:
        window: Query i does not attend to keys i + window and above (a call's own window masks the keys before it).
        positions: `[1, keys]`; a row may hold several sequences, each of which starts at position 0.
    """

    def adjust(scores: Tensor, rows: Tensor) -> Tensor:
        if window is not None:
            ahead = torch.arange(scores.shape[-1], device=rows.device) - rows[:, None]
            scores = scores.masked_fill(ahead >= window, float("-inf"))
        if positions is not None:
            sequence = (positions[0] == 0).cumsum(0)
            is_other = sequence.index_select(0, rows)[:, None] != sequence[: scores.shape[-1]]
            scores = scores.masked_fill(is_other, float("-inf"))
        return scores

    return adjust


def _make_call(
    module: nn.Module, query: Tensor, key: Tensor, kwargs: dict[str, Any], *, scale: float | None = None, **others: Any
) -> AttentionCall | None:
    """Return the call; None for a model with attention sinks, whose weights depend on more than queries and keys."""
    if getattr(module, "sinks", None) is not None or kwargs.get("s_aux") is not None:
        return None
    return make_call(query, key, scale=scale, softcap=kwargs.get("softcap"), **others)


_REGISTERED = {"flash": _flash, "flex": _flex}
"""Replacements of the registry's entries, by a part of the entry's name."""
