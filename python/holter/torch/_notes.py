"""Caveats about a watch's numbers: each is logged once as a warning and kept on the handle as a note."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from holter.torch._clipping import replaced_clip_functions, unobserved_clip_functions

if TYPE_CHECKING:
    from collections.abc import Iterable

_log = logging.getLogger("holter.torch")


class Notes:
    """Notes of one watch.

    Attributes:
        texts: Notes, in the order in which they were logged.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._unknown_attention: set[str] = set()

    def warn_not_traced(self, kind: str) -> None:
        """Warn that the first step with gradients produced no value of this kind."""
        self._warn(
            f"no {kind} ran during this step's forward pass, so its metrics are missing. If torch.compile ran the "
            "model before the watch started, call torch.compiler.reset() once. If the model computes attention with "
            "its own kernel, call holter.torch.attention(self, query, key) in that module's forward"
        )

    def warn_unknown_attention(self, path: str, reason: str) -> None:
        """Warn that an attention call is not recorded; each reason is reported once, for the first layer."""
        if reason not in self._unknown_attention:
            self._unknown_attention.add(reason)
            self._warn(
                f"attention of {path or 'the model'} is not recorded, because it {reason}. The same applies to other "
                "layers with such calls. To record it, call holter.torch.attention(self, query, key, …) in the forward"
            )

    def warn_graph_capture(self) -> None:
        """Warn that the program captures the optimizer's step in a CUDA graph."""
        self._warn(
            "the optimizer's step is being captured in a CUDA graph. Replaying a graph runs no Python, so its steps "
            "are not recorded. To record the gradients, call watch without an optimizer and call commit(step) after "
            "each replay"
        )

    def warn_unobserved_clipping(self) -> bool:
        """Warn if a loaded module holds a clipping function that a watch cannot observe; return whether it does."""
        functions = unobserved_clip_functions()
        if functions:
            self._warn(
                f"{', '.join(functions)} was imported before the watch started; where it is called, the recorded "
                "gradient norms are those after clipping. To record the norms before clipping, call the function "
                "through torch.nn.utils, or import it after the watch has started"
            )
        return bool(functions)

    def warn_replaced_clipping(self) -> bool:
        """Warn if other code has replaced a clipping function during the watch; return whether it has."""
        functions = replaced_clip_functions()
        if functions:
            self._warn(
                f"{', '.join(functions)} was replaced while the watch was open; where the new function does not call "
                "the previous one, the recorded gradient norms may be those after clipping. To record the norms "
                "before clipping, replace the function before the watch starts"
            )
        return bool(functions)

    def warn_replaced_attention(self, names: Iterable[str]) -> None:
        """Warn that other code has replaced an attention function during the watch."""
        self._warn(
            f"{', '.join(names)} was replaced while the watch was open; its calls are not recorded unless the new "
            "function calls the previous one. To record them, replace the function before the watch starts"
        )

    def _warn(self, text: str) -> None:
        if text not in self.texts:
            self.texts.append(text)
            _log.warning(text)
