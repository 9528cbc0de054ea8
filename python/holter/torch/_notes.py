"""Caveats about a watch's numbers: each is logged once as a warning and kept on the handle as a note."""

from __future__ import annotations

import logging

from holter.torch._clipping import unobserved_clip_functions

_log = logging.getLogger("holter.torch")


class Notes:
    """Notes of one watch.

    Attributes:
        texts: Notes, in the order in which they were logged.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []

    def warn_not_traced(self, kind: str) -> None:
        """Warn that the first step with gradients produced no value of this kind."""
        self._warn(
            f"no {kind} ran during this step's forward pass, so its metrics are missing. If torch.compile ran the "
            "model before the watch started, call torch.compiler.reset() once. If the model computes attention with "
            "its own kernel, call holter.torch.attention(self, query, key) in that module's forward"
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

    def _warn(self, text: str) -> None:
        if text not in self.texts:
            self.texts.append(text)
            _log.warning(text)
