"""Colours: one palette for runs, the same in every chart, list and terminal; and the two themes."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from holter.plots.chart import Colour

ThemeName: TypeAlias = Literal["light", "dark"]

PALETTE = (
    "#2563d9", "#d9480f", "#0b8f6a", "#a626c4", "#8a6d00", "#c2185b", "#0a87a8", "#6b4fd8", "#5c6b7a", "#8c4a2f",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of a figure that are not a run's."""

    palette: tuple[str, ...]
    background: str
    text: str
    quiet_text: str
    grid: str
    axis: str
    hover: str
    hover_border: str
    alarm: str
    mark: str
    change: str
    threshold: str


THEMES: dict[str, Theme] = {
    "light": Theme(
        palette=PALETTE,
        background="#ffffff",
        text="#1c2430",
        quiet_text="#5a6675",
        grid="#e9ecf0",
        axis="#c3cad3",
        hover="#ffffff",
        hover_border="#d5dae1",
        alarm="#d11a2a",
        mark="#5a6675",
        change="#8a3ffc",
        threshold="#5a6675",
    ),
    "dark": Theme(
        palette=(
            "#6ea8ff",
            "#ff9257",
            "#3ecf9f",
            "#d98af0",
            "#d9b830",
            "#ff7eb0",
            "#4cc9e8",
            "#a898ff",
            "#a9b6c4",
            "#d9a283",
        ),  # fmt: skip
        background="#11161d",
        text="#e6ebf1",
        quiet_text="#9aa7b6",
        grid="#232b35",
        axis="#3a4552",
        hover="#1b222c",
        hover_border="#3a4552",
        alarm="#ff6b6b",
        mark="#9aa7b6",
        change="#be95ff",
        threshold="#9aa7b6",
    ),
}


def theme_named(name: str) -> Theme:
    """Return a theme.

    Raises:
        ValueError: If there is none of this name.
    """
    if name not in THEMES:
        raise ValueError(f"there is no theme {name!r}; there are {', '.join(THEMES)}")
    return THEMES[name]


def resolved(colour: Colour, theme: Theme) -> str:
    """Return `#rrggbb` for an index into the palette or a colour."""
    return theme.palette[colour % len(theme.palette)] if isinstance(colour, int) else colour


def translucent(colour: str, opacity: float) -> str:
    """Return `#rrggbb` as CSS' `rgba(...)`."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"
