"""Settings from the environment. No other Python file reads environment variables.

Arguments take precedence over the environment, and the environment over the defaults.
"""

import enum
import os

__all__ = ["DEFAULT_SINKS", "Environment", "Overflow"]

DEFAULT_SINKS = ("sqlite", "parquet", "summary")

_RESTART_COUNTS = ("SLURM_RESTART_COUNT", "TORCHELASTIC_RESTART_COUNT")


class Overflow(enum.Enum):
    """What to do with a point when the journal, which holds a million points, is full."""

    BLOCK = "block"
    """Wait while the writer makes progress; if it makes none, drop the point."""
    DROP = "drop"
    """Drop the point without waiting."""


class Environment:
    """The environment variables that Holter reads.

    Attributes:
        is_enabled: False if `HOLTER_MODE` is `disabled`: loggers then discard all points.
        directory: `HOLTER_DIR`, the directory of runs without a path; `runs` by default.
        name: `HOLTER_NAME`, the run's name.
        resume: `HOLTER_RESUME`: `auto`, `never`, `allow`, `must` or `newest`. If it is not set and the scheduler has
            restarted this job (`SLURM_RESTART_COUNT` or `TORCHELASTIC_RESTART_COUNT` above 0), `newest`.
        tags: `HOLTER_TAGS`, separated by commas.

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
        self.resume: str | None = os.environ.get("HOLTER_RESUME") or ("newest" if _is_restarted() else None)
        self.tags: tuple[str, ...] = tuple(tag for tag in os.environ.get("HOLTER_TAGS", "").split(",") if tag)


def _is_restarted() -> bool:
    """Return whether the scheduler has started this job before."""
    return any(os.environ.get(name, "0") not in ("", "0") for name in _RESTART_COUNTS)
