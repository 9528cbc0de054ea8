"""The note below a chart: how its data was reduced."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holter.plots.build.view import View


def note_of(view: View, *parts: str) -> str:
    """Return the non-empty parts, followed by the smoothing."""
    smoothed = f"smoothed, half-life {view.half_life:,g} steps" if view.half_life else ""
    return "; ".join(part for part in (*parts, smoothed) if part)
