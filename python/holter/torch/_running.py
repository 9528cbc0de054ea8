"""The attention modules that are running, on each thread."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field


@dataclass(eq=False)
class Layer:
    """An attention module: its path, and the names of its metrics."""

    path: str
    names: tuple[str, ...] = field(default=())


class Running:
    """The stack of the attention modules that run on the current thread.

    Attributes:
        step: Counts the steps: modules that were running in an earlier step raised and never returned.
    """

    def __init__(self) -> None:
        self.step = 0
        self._local = threading.local()

    @property
    def layers(self) -> list[Layer]:
        """The running modules of this thread, the innermost last."""
        step, layers = getattr(self._local, "stack", (-1, []))
        if step != self.step:
            step, layers = self._local.stack = (self.step, [])
        return layers
