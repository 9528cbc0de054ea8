"""Cadence: every how many steps a probe looks, counted in the user's own step numbers."""

from __future__ import annotations


class Cadence:
    """Due at the first step of every period of `every` steps.

    Periods rather than remainders: a user who commits only every hundredth step still gets each of them, and a run
    resumed at step 1003 looks at once and then again at 1010.
    """

    def __init__(self, every: int) -> None:
        if every < 1:
            raise ValueError(f"every must be a positive number of steps, not {every!r}")
        self.every = every
        self._period: int | None = None

    def due(self, step: int) -> bool:
        """Whether the period that `step` lies in has not been looked at yet."""
        return step // self.every != self._period

    def done(self, step: int) -> None:
        """Remember that the period of `step` has been looked at."""
        self._period = step // self.every
