"""FlexAttention: its calls as they pass by, with the user's own functions of scores and positions.

Those functions are written for single numbers. Here they are run for the sampled queries only, over all of their keys
at once, as FlexAttention's own reference does it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from holter.torch._attention_math import AttentionCall, make_call
from holter.torch._patches import Patches

if TYPE_CHECKING:
    from collections.abc import Callable

    from holter.torch._compiled import AttentionPulse

try:
    from torch.nn.attention import flex_attention as _module
except ImportError:  # a torch built without it
    _module = None  # type: ignore[assignment]


class CallListener(Protocol):
    """Who is told of attention calls in the module that is being run."""

    pulse: AttentionPulse

    def seen(self, call: Callable[[], AttentionCall | None]) -> None:
        """An attention call passed by."""


def split_mask(mask: Any) -> tuple[Tensor | None, Any]:
    """A mask as a tensor, or as FlexAttention's BlockMask; the other of the two is None."""
    is_of_blocks = _module is not None and isinstance(mask, _module.BlockMask)
    return (None, mask) if is_of_blocks else (mask, None)


def with_functions(
    call: AttentionCall, block_mask: Any = None, score_function: Callable[..., Tensor] | None = None
) -> AttentionCall:
    """The call with FlexAttention's functions of scores and positions.

    Args:
        call: the rest of it; its own mask is not used beside a block mask.
        block_mask: a BlockMask, or None.
        score_function: a `score_mod`, or None.
    """
    if block_mask is None and score_function is None:
        return call
    batch, heads = call.query.shape[:2]

    def adjust(scores: Tensor, rows: Tensor) -> Tensor:
        device = scores.device
        places = (
            torch.arange(batch, device=device, dtype=torch.int32),
            torch.arange(heads, device=device, dtype=torch.int32),
            rows.to(torch.int32),
            torch.arange(scores.shape[-1], device=device, dtype=torch.int32),
        )
        with _Indexing():
            if score_function is not None:
                scores = _over_places(score_function, takes_score=True)(scores, *places).to(torch.float32)
            if block_mask is not None:
                visible = _over_places(block_mask.mask_mod, takes_score=False)(*places)
                scores = scores.masked_fill(~visible, float("-inf"))
        return scores

    return call.adjusted(adjust)


def _over_places(function: Callable[..., Any], *, takes_score: bool) -> Callable[..., Tensor]:
    """A function of one batch, head, query and key as one of all of them."""
    first = (0,) if takes_score else ()
    for dims in ((None, None, None, 0), (None, None, 0, None), (None, 0, None, None), (0, None, None, None)):
        function = torch.vmap(function, in_dims=first + dims)
    return function


class _Indexing(TorchFunctionMode):
    """Has `table[index]` look an element up where `index` is a number on the device, and not ask for its value."""

    def __torch_function__(
        self, function: Callable[..., Any], _types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if function is Tensor.__getitem__:
            indices = args[1] if isinstance(args[1], tuple) else (args[1],)
            kinds = [type(index) for index in indices]
            if any(issubclass(kind, Tensor) for kind in kinds) and all(
                issubclass(kind, (Tensor, int)) for kind in kinds
            ):
                device = args[0].device
                places = [
                    index if isinstance(index, Tensor) else torch.full((), index, dtype=torch.int64, device=device)
                    for index in indices
                ]
                return torch.ops.aten.index(args[0], places)
        return function(*args, **(kwargs or {}))


def _flex(  # noqa: PLR0917  torch's own signature
    listeners: tuple[CallListener, ...],
    original: Callable[..., Any],
    query: Tensor,
    key: Tensor,
    value: Tensor,
    score_mod: Callable[..., Tensor] | None = None,
    block_mask: Any = None,
    scale: float | None = None,
    *args: Any,
    **kwargs: Any,
) -> Any:
    """Stands in for `flex_attention`."""
    if torch.compiler.is_dynamo_compiling():
        for listener in listeners if score_mod is None and block_mask is None else ():
            listener.pulse.attend(make_call(query, key, scale=scale))
    elif not torch.compiler.is_compiling():

        def call() -> AttentionCall | None:
            found = make_call(query, key, scale=scale)
            return None if found is None else with_functions(found, block_mask, score_mod)

        for listener in listeners:
            listener.seen(call)
    return original(query, key, value, score_mod, block_mask, scale, *args, **kwargs)


flex_calls: list[Patches[CallListener]] = [] if _module is None else [Patches(_module, "flex_attention", _flex)]
"""The patches of `flex_attention`; none in a torch without it."""
