"""The settings that come from outside the program: the only Python file that reads the environment.

Arguments beat the environment, the environment beats the defaults.
"""

import enum
import os

__all__ = ["DEFAULT_SINKS", "Environment", "Overflow"]

DEFAULT_SINKS = ("sqlite", "parquet", "summary")


class Overflow(enum.Enum):
    """What happens to a point when the journal, which holds a million, is full."""

    BLOCK = "block"
    """The caller waits while the writer makes progress; when it does not, the point is dropped."""
    DROP = "drop"
    """The point is dropped. The caller never waits."""


class Environment:
    """What the environment says.

    Attributes:
        is_enabled: `HOLTER_MODE`: False for `disabled`, which makes every logger forget what it is given.
        directory: `HOLTER_DIR`: where runs without a path of their own go; `runs`.
        name: `HOLTER_NAME`: the run's name.
        resume: `HOLTER_RESUME`: `never`, `allow` or `must`.
        tags: `HOLTER_TAGS`: tags, separated by commas.

    Raises:
        ValueError: If `HOLTER_MODE` is neither `on` nor `disabled`.
    """

    def __init__(self) -> None:
        mode = os.environ.get("HOLTER_MODE") or "on"
        if mode not in ("on", "disabled"):
            message = f"HOLTER_MODE must be 'on' or 'disabled', got {mode!r}"
            raise ValueError(message)
        self.is_enabled: bool = mode == "on"
        self.directory: str = os.environ.get("HOLTER_DIR") or "runs"
        self.name: str | None = os.environ.get("HOLTER_NAME") or None
        self.resume: str | None = os.environ.get("HOLTER_RESUME") or None
        self.tags: tuple[str, ...] = tuple(tag for tag in os.environ.get("HOLTER_TAGS", "").split(",") if tag)
