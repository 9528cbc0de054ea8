"""What a check found: how bad it is, in words, and the way out."""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = ["Finding", "Severity"]


class Severity(enum.Enum):
    """How bad a finding is."""

    OK = "ok"
    """It was looked at and is in order."""
    NOTE = "note"
    """Worth knowing."""
    WARNING = "warning"
    """Somebody should look at it; no point is missing."""
    PROBLEM = "problem"
    """Points are missing, or something cannot be read or written."""


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        check: The check, as one word: for scripts.
        severity: How bad it is.
        text: What was found.
        way_out: What to do about it; empty where nothing is to be done.
        run: The run's directory; empty if it is about something else.
    """

    check: str
    severity: Severity
    text: str
    way_out: str = ""
    run: str = ""

    def to_json(self) -> dict[str, str]:
        """The finding for a script."""
        return {
            "run": self.run,
            "check": self.check,
            "severity": self.severity.value,
            "text": self.text,
            "way_out": self.way_out,
        }
