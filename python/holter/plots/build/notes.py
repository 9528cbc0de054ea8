"""The note under a chart: how the picture came about."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holter.plots.build.view import View


def note_of(view: View, *parts: str) -> str:
    """Return the parts that say something, and whether the curves are smoothed."""
    smoothed = f"smoothed, half-life {view.half_life:,g} steps" if view.half_life else ""
    return "; ".join(part for part in (*parts, smoothed) if part)
