"""The finding of a check: its severity, a text, and a hint."""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = ["Finding", "Severity"]


class Severity(enum.Enum):
    """How serious a finding is."""

    OK = "ok"
    """Checked, and in order."""
    NOTE = "note"
    """Information that needs no action."""
    WARNING = "warning"
    """Needs attention, but no point is missing."""
    PROBLEM = "problem"
    """Points are missing, or something cannot be read or written."""


@dataclass(frozen=True)
class Finding:
    """The finding of a check.

    Attributes:
        check: The check, as one word for scripts.
        severity: How serious it is.
        text: What was found.
        hint: What to do about it; empty if nothing.
        run: The directory of the run; empty if the finding is not about a run.
    """

    check: str
    severity: Severity
    text: str
    hint: str = ""
    run: str = ""

    def to_json(self) -> dict[str, str]:
        """Return the finding as JSON."""
        return {
            "run": self.run,
            "check": self.check,
            "severity": self.severity.value,
            "text": self.text,
            "hint": self.hint,
        }
