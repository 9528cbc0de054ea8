"""The settings that come from outside the program: the only Python file that reads the environment.

Arguments beat the environment, the environment beats the defaults.
"""

import enum
import os
from typing import NamedTuple

__all__ = ["DEFAULT_SINKS", "Environment", "Overflow"]

DEFAULT_SINKS = ("sqlite", "parquet", "summary")


class Overflow(enum.Enum):
    """What happens to a point when the journal, which holds a million, is full."""

    BLOCK = "block"
    """The caller waits while the writer makes progress; when it does not, the point is dropped."""
    DROP = "drop"
    """The point is dropped. The caller never waits."""


class Environment(NamedTuple):
    """What the environment says."""

    is_enabled: bool
    """`HOLTER_MODE`: False for `disabled`, which makes every logger forget what it is given."""
    directory: str
    """`HOLTER_DIR`: where runs without a path of their own go; `runs`."""
    name: str | None
    """`HOLTER_NAME`: the run's name."""
    resume: str | None
    """`HOLTER_RESUME`: `never`, `allow` or `must`."""
    tags: tuple[str, ...]
    """`HOLTER_TAGS`: tags, separated by commas."""

    @classmethod
    def read(cls) -> "Environment":
        """Read the environment.

        Raises:
            ValueError: If `HOLTER_MODE` is neither `on` nor `disabled`.
        """
        mode = os.environ.get("HOLTER_MODE") or "on"
        if mode not in ("on", "disabled"):
            message = f"HOLTER_MODE must be 'on' or 'disabled', got {mode!r}"
            raise ValueError(message)
        return cls(
            is_enabled=mode == "on",
            directory=os.environ.get("HOLTER_DIR") or "runs",
            name=os.environ.get("HOLTER_NAME") or None,
            resume=os.environ.get("HOLTER_RESUME") or None,
            tags=tuple(tag for tag in os.environ.get("HOLTER_TAGS", "").split(",") if tag),
        )
