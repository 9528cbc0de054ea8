"""Attention calls of Hugging Face models that do not use `scaled_dot_product_attention`.

The models look up their attention function in a registry, by the model's `attn_implementation`. "sdpa" needs no patch.
For flash-attn and FlexAttention the registry's entries are patched. "eager" is not in the registry: each model's file
has its own function, looked up by name at every call. All of these functions take the module as their first argument.
transformers itself is never imported.
"""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Any

import torch

from holter.torch._attention_call import AttentionCall, UnknownAttentionError, make_call
from holter.torch._flex import split_mask, with_functions
from holter.torch._patches import ATTENTION, Patch, original_of

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
        patch = _patches[key] = Patch(owner, key[1], call, ATTENTION)
    return patch


def _notify(
    listeners: tuple[CallListener, ...],
    original: Callable[..., Any],
    describe: Callable[..., AttentionCall | None],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> None:
    """Notify listeners of a call, whose module is its first argument; `describe` builds its description."""
    module = args[0] if args else kwargs.get("module")
    if not isinstance(module, torch.nn.Module):
        return
    if torch.compiler.is_dynamo_compiling():
        # The signature of the function cannot be read in code that torch.compile traces.
        if len(args) <= _NUM_COMMON and all(name in _UNDERSTOOD or kwargs[name] is None for name in kwargs):
            call = None if kwargs.get("position_bias") is not None else describe(*args, **kwargs)
            for listener in listeners:
                listener.targets.attend(call, module)
    elif module.training and not torch.compiler.is_compiling():
        for listener in listeners:
            listener.on_module_call(module, lambda: describe(**_arguments(original, args, kwargs)))


def _arguments(original: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return a call's arguments by name.

    Raises:
        UnknownAttentionError: If the function uses an argument whose meaning is unknown.
    """
    function = inspect.unwrap(original_of(original))
    bound = inspect.signature(function).bind(*args, **kwargs)
    arguments: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        kind = bound.signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            raise UnknownAttentionError(f"passes {len(value)} arguments without a name")
        arguments.update(value if kind is inspect.Parameter.VAR_KEYWORD else {name: value})
    # A function receives all keyword arguments of the model's forward, and uses those that its code names.
    code = getattr(function, "__code__", None)
    used = None if code is None else {*bound.signature.parameters, *map(str, code.co_consts)}
    for name, value in arguments.items():
        if value is not None and name not in _UNDERSTOOD and (used is None or name in used):
            raise UnknownAttentionError(f"passes {name!r}, which may change the weights in an unknown way")
    return arguments


def _eager(listeners: tuple[CallListener, ...], original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Replace `eager_attention_forward`."""
    _notify(listeners, original, _call_of_eager, args, kwargs)
    return original(*args, **kwargs)


def _flex(listeners: tuple[CallListener, ...], original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Replace the registry's `flex_attention_forward`."""
    _notify(listeners, original, _call_of_flex, args, kwargs)
    return original(*args, **kwargs)


def _flash(listeners: tuple[CallListener, ...], original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Replace the registry's `flash_attention_forward`."""
    _notify(listeners, original, _call_of_flash, args, kwargs)
    return original(*args, **kwargs)


def _call_of_eager(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None = None,
    **kwargs: Any,
) -> AttentionCall | None:
    """Return the call of an `eager_attention_forward`, which adds the position bias and the mask to the scores."""
    del value
    found = _make_call(module, query, key, kwargs, mask=attention_mask)
    bias = kwargs.get("position_bias")
    return found if found is None or bias is None else found.with_bias(bias)


def _call_of_flex(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Any = None, **kwargs: Any
) -> AttentionCall | None:
    """Return the call of a `flex_attention_forward`."""
    del value
    mask, block_mask = split_mask(attention_mask)
    if mask is not None:
        mask = mask[..., : key.shape[-2]]
    found = _make_call(module, query, key, kwargs, mask=mask)
    if found is None:
        return None
    found = with_functions(found, block_mask)
    bias = kwargs.get("position_bias")
    return found if bias is None else found.with_bias(bias)


def _call_of_flash(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None = None,
    **kwargs: Any,
) -> AttentionCall | None:
    """Return the call of a `flash_attention_forward`, whose mask is True for tokens that are not padding."""
    del value
    if kwargs.get("position_bias") is not None:
        raise UnknownAttentionError("passes 'position_bias' to a kernel that has no such argument")
    if kwargs.get("cu_seq_lens_q") is not None:
        raise UnknownAttentionError("packs sequences into one row in a format that only the kernel interprets")
    if attention_mask is not None and attention_mask.ndim != 2:
        raise UnknownAttentionError("passes a mask that is not one of tokens")
    is_causal = kwargs.get("is_causal")
    if is_causal is None:
        is_causal = getattr(module, "is_causal", True)
    mask = None if attention_mask is None else attention_mask[:, None, None, -key.shape[-2] :].bool()
    window = kwargs.get("sliding_window")
    found = _make_call(module, query, key, kwargs, mask=mask, is_causal=is_causal, window=window)
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
    module: nn.Module, query: Tensor, key: Tensor, kwargs: dict[str, Any], **others: Any
) -> AttentionCall | None:
    """Return the call.

    Raises:
        UnknownAttentionError: If the model has attention sinks, or a bias as well as a cap, whose order is unknown.
    """
    if getattr(module, "sinks", None) is not None or kwargs.get("s_aux") is not None:
        raise UnknownAttentionError("has attention sinks")
    if kwargs.get("position_bias") is not None and kwargs.get("softcap") is not None:
        raise UnknownAttentionError("has a bias and a cap on the scores")
    return make_call(query, key, scale=kwargs.get("scaling"), softcap=kwargs.get("softcap"), **others)


_COMMON = ("module", "query", "key", "value", "attention_mask")
_NUM_COMMON = len(_COMMON)
_UNDERSTOOD = frozenset(
    (
        *_COMMON,
        *("scaling", "softcap", "position_bias", "dropout", "is_causal", "sliding_window", "position_ids"),
        *("cu_seq_lens_q", "cu_seq_lens_k", "max_length_q", "max_length_k", "s_aux", "target_dtype", "deterministic"),
        *("output_attentions", "output_hidden_states", "output_router_logits", "use_cache", "cache_position"),
        *("num_items_in_batch", "implementation", "layer_idx", "return_dict", "labels"),
    )
)
"""Arguments that either do not change the weights before dropout, or are taken into account."""

_REGISTERED = {"flash": _flash, "flex": _flex}
"""Replacements of the registry's entries, by a part of the entry's name."""
