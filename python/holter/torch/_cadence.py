"""Every how many steps a probe runs, counted in the user's own step numbers."""

from __future__ import annotations


class Cadence:
    """Due at the first step of every period of `every` steps.

    It counts periods instead of testing `step % every == 0`: a user who commits only every hundredth step still gets
    each of them, and a run resumed at step 1003 with `every=10` records at 1003 and again at 1010.

    Raises:
        ValueError: If `every` is less than 1.
    """

    def __init__(self, every: int) -> None:
        if every < 1:
            raise ValueError(f"every must be at least 1 step, not {every!r}")
        self.every = every
        self._period: int | None = None

    def due(self, step: int) -> bool:
        """Return whether the period that contains `step` has not been recorded yet."""
        return step // self.every != self._period

    def done(self, step: int) -> None:
        """Mark the period that contains `step` as recorded."""
        self._period = step // self.every
