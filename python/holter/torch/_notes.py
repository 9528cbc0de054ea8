"""Notes: what one has to know about a watch's numbers, said once as a warning and kept on the handle."""

from __future__ import annotations

import logging

from holter.torch._clipping import unseen_clipping

_log = logging.getLogger("holter.torch")


class Notes:
    """What has been said.

    Attributes:
        texts: in the order in which they were said.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []

    def say_blind(self, kind: str) -> None:
        """The first step with gradients has shown nothing of something that was asked for."""
        self._say(
            f"no {kind} saw anything of this step's forward pass, so that nothing of it is recorded. If torch.compile "
            "had run the model before the watch began, call torch.compiler.reset() once; an attention that no known "
            "function computes is told of by one line, holter.torch.attention(self, query, key)"
        )

    def say_captured(self) -> None:
        """The program captures its own step."""
        self._say(
            "the optimizer's step is being captured in a CUDA graph, whose replays run no Python: nothing of them is "
            "recorded by itself. Watch without an optimizer and call commit(step) after each replay for the gradients"
        )

    def say_if_clipping_is_unseen(self) -> bool:
        """Whether the program has functions that clip gradients before anything can look at them; then it is said."""
        functions = unseen_clipping()
        if functions:
            self._say(
                f"{', '.join(functions)} was imported before the watch began: where it is called, the recorded norms "
                "of gradients are those after clipping. Call it by its name in torch.nn.utils, or import it later, to "
                "have those before"
            )
        return bool(functions)

    def _say(self, text: str) -> None:
        if text not in self.texts:
            self.texts.append(text)
            _log.warning(text)
