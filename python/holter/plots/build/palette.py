"""Colors: the palette of runs, the same in every chart, list and terminal, in two themes.

The colors of a palette are distinguishable with each of the three types of color blindness (at least 0.11 apart in
OKLab, simulated as in Machado et al. 2009; Okabe and Ito's eight colors are 0.08 apart), and each has a contrast of at
least 3 : 1 to the background of its theme. The tests compute both.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from holter.plots.build.chart import Color

ThemeName: TypeAlias = Literal["light", "dark"]


@dataclass(frozen=True, slots=True)
class Theme:
    """The colors of a figure.

    Attributes:
        palette: Colors of runs: run i has palette[i % 10].
        sequence: Colors from the first layer to the last: a part of viridis.
        background: Background of the plot area and of the page.
        text: Titles and values.
        quiet_text: Ticks, legends, notes.
        grid: Grid lines.
        axis: Cursor and other unobtrusive lines.
        hover: Background of the hover label.
        alarm: NaN, infinite values and restarts.
        change: Change points.
    """

    palette: tuple[str, ...]
    sequence: tuple[str, ...]
    background: str
    text: str
    quiet_text: str
    grid: str
    axis: str
    hover: str
    alarm: str
    change: str


THEMES: dict[str, Theme] = {
    "light": Theme(
        palette=(
            "#2b96ff",
            "#b74700",
            "#02826e",
            "#8b05ed",
            "#a4960c",
            "#7f215b",
            "#1d4b99",
            "#240558",
            "#d756b6",
            "#433202",
        ),
        sequence=("#440154", "#482475", "#414487", "#355f8d", "#2a788e", "#21918c", "#20a280"),
        background="#ffffff",
        text="#1c2430",
        quiet_text="#5a6675",
        grid="#e9ecf0",
        axis="#c3cad3",
        hover="#ffffff",
        alarm="#d11a2a",
        change="#7a35e0",
    ),
    "dark": Theme(
        palette=(
            "#2991fd",
            "#fb6734",
            "#38db92",
            "#eaa5fe",
            "#eeed41",
            "#c12a7c",
            "#b9f0fc",
            "#7b44d0",
            "#989b93",
            "#8c5b11",
        ),
        sequence=("#3d6ea0", "#2a788e", "#21918c", "#22a884", "#44bf70", "#7ad151", "#bddf26", "#fde725"),
        background="#11161d",
        text="#e6ebf1",
        quiet_text="#9aa7b6",
        grid="#232b35",
        axis="#3a4552",
        hover="#1b222c",
        alarm="#ff5c5c",
        change="#be95ff",
    ),
}
PALETTE = THEMES["light"].palette


def theme_named(name: str) -> Theme:
    """Return the theme with a name.

    Raises:
        ValueError: If no theme has this name.
    """
    if name not in THEMES:
        raise ValueError(f"theme must be one of {', '.join(THEMES)}, got {name!r}")
    return THEMES[name]


def resolved(color: Color, theme: Theme) -> str:
    """Return a chart's color as `#rrggbb`."""
    if isinstance(color, str):
        return color
    if isinstance(color, int):
        return theme.palette[color % len(theme.palette)]
    place = min(max(color, 0.0), 1.0) * (len(theme.sequence) - 1)
    before = min(int(place), len(theme.sequence) - 2)
    one, other = _channels(theme.sequence[before]), _channels(theme.sequence[before + 1])
    mixed = (round(a + (b - a) * (place - before)) for a, b in zip(one, other, strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


def translucent(color: str, opacity: float) -> str:
    """Return `#rrggbb` as CSS `rgba(...)`."""
    red, green, blue = _channels(color)
    return f"rgba({red},{green},{blue},{opacity:g})"


def _channels(color: str) -> tuple[int, int, int]:
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    return red, green, blue
