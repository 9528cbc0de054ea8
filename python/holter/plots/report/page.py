"""The page of a report as text: every word of a run escaped, every script and style allowed by its hash alone.

The charts' data stand in a block of JSON in which no `<` can end it. Colours of runs are attributes of SVG, since the
policy forbids styles on elements.
"""

from __future__ import annotations

import importlib.resources
import json
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from holter._plotly import source_hash, style_attribute_hashes, style_hashes
from holter.plots.build.palette import THEMES, resolved
from holter.plots.build.text import LEGEND_CHARACTERS, shortened
from holter.plots.report.facts import run_config, run_origin, run_tiles

if TYPE_CHECKING:
    import datetime as dt

    from holter.analysis import Comparison
    from holter.plots.build.chart import Chart, Colour
    from holter.plots.report.facts import ReportedRun

_MOST_SERIES_ROWS = 1000
_FEW_SERIES = 30
_STROKES = {"dash": ' stroke-dasharray="5 3"', "dot": ' stroke-dasharray="2 2"'}
_BEST = ' class="best"'
_BAD_UNLESS_ZERO = {"NaN or infinite", "dropped"}
_TEXT_CHARACTERS = 200
_ROW_PIXELS, _LEAST_HEIGHT, _MOST_HEIGHT = 14, 260, 900


@dataclass(frozen=True, slots=True, eq=False)
class ChartPart:
    """A chart, its figure in the light theme, and what is another in the dark one."""

    chart: Chart
    figure: dict[str, Any]
    dark: tuple[tuple[tuple[str | int, ...], Any], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """Charts under a heading."""

    heading: str
    charts: tuple[ChartPart, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ReportContent:
    """All that a report shows; `unseen` are the families for which there was no room."""

    title: str
    generated: dt.datetime
    runs: tuple[ReportedRun, ...]
    sections: tuple[Section, ...]
    comparison: Comparison | None
    unseen: tuple[str, ...]


def page(content: ReportContent, plotly: str) -> str:
    """Return the HTML file; `plotly` is the text of plotly.min.js."""
    files = importlib.resources.files("holter.plots.report") / "static"
    style = (files / "report.css").read_text(encoding="utf-8")
    script = (files / "report.js").read_text(encoding="utf-8")
    # In a page, `</script` would end the script.
    plotly = plotly.replace("</script", "<\\/script")
    # plotly.js adds an empty sheet, then its rules through CSSOM, which policies don't restrict.
    sheets = " ".join([source_hash(style), *style_hashes(plotly), source_hash("")])
    attributes = " ".join(style_attribute_hashes())
    policy = (
        f"default-src 'none'; script-src {source_hash(plotly)} {source_hash(script)}; style-src {sheets}; "
        f"style-src-attr 'unsafe-hashes' {attributes}; img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    parts = [part for section in content.sections for part in section.charts]
    data = _json([{"figure": part.figure, "dark": part.dark} for part in parts])
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="referrer" content="no-referrer">\n<title>{_text(content.title)}</title>\n'
        f"<style>{style}</style>\n</head>\n<body>\n{_body(content)}\n"
        f'<script type="application/json" id="charts">{data}</script>\n'
        f'<script>{plotly}</script>\n<script type="module">{script}</script>\n</body>\n</html>\n'
    )


def _body(content: ReportContent) -> str:
    number = 0
    sections = []
    for section in content.sections:
        figures = []
        for part in section.charts:
            figures.append(_figure(part, number))
            number += 1
        grid = f'<div class="charts">{"".join(figures)}</div>'
        sections.append(f"<section><h2>{_text(section.heading)}</h2>{grid}</section>")
    return "\n".join(
        [
            _header(content),
            "<noscript><p>The charts need JavaScript; the tables do not.</p></noscript>",
            "<main>",
            _tiles(content.runs[0]) if len(content.runs) == 1 else _runs_table(content.runs),
            sections[0] if sections else "",
            _comparison(content.comparison),
            *sections[1:],
            _unseen(content.unseen),
            *(_about(facts, is_open=len(content.runs) == 1) for facts in content.runs),
            "</main>",
        ]
    )


def _header(content: ReportContent) -> str:
    when = f"{content.generated:%Y-%m-%d %H:%M} UTC"
    live = any(facts.summary.is_live for facts in content.runs)
    state = " · still being recorded" if live else ""
    return (
        f'<header><div><h1>{_text(content.title)}</h1><p class="quiet">Holter report, {when}{state}</p></div>'
        '<button type="button" id="theme" aria-label="Switch between light and dark">◐</button></header>'
    )


def _tiles(facts: ReportedRun) -> str:
    tiles = []
    for label, value, remark in run_tiles(facts):
        is_bad = value in {"failed", "crashed"} if label == "status" else label in _BAD_UNLESS_ZERO and value != "0"
        mark = ' class="bad"' if is_bad else ""
        tiles.append(
            f"<div{mark}><dt>{_text(label)}</dt><dd><strong>{_text(value)}</strong><span>{_text(remark)}</span></dd></div>"
        )
    return f'<dl class="tiles">{"".join(tiles)}</dl>'


def _runs_table(runs: tuple[ReportedRun, ...]) -> str:
    """One row a run: what a single run has as tiles."""
    tiles = [{label: value for label, value, _ in run_tiles(facts)} for facts in runs]
    columns = [label for label in tiles[0] if not label.startswith(("best ", "latest "))]
    rows = []
    for index, (facts, of_run) in enumerate(zip(runs, tiles, strict=True)):
        cells = "".join(f"<td>{_text(of_run.get(column, '–'))}</td>" for column in columns)
        rows.append(f'<tr><th scope="row">{_swatch(index)}{_text(facts.label)}</th>{cells}</tr>')
    return _table("Runs", ["run", *columns], rows)


def _figure(part: ChartPart, number: int) -> str:
    chart = part.chart
    title = f"<h3>{_text(chart.title)}</h3>" if chart.title else ""
    note = f'<p class="quiet">{_text(chart.note)}</p>' if chart.note else ""
    height = _LEAST_HEIGHT
    if chart.heatmap is not None:
        height = min(_MOST_HEIGHT, max(_LEAST_HEIGHT, 70 + _ROW_PIXELS * len(chart.heatmap.rows)))
    return (
        f"<figure><figcaption>{title}{_legend(chart)}{note}</figcaption>"
        f'<div class="chart" data-chart="{number}" data-height="{height}" role="img" '
        f'aria-label="{_text(chart.title)}"></div></figure>'
    )


def _legend(chart: Chart) -> str:
    """A button for each line, which shows and hides it."""
    entries = [
        (f"line{number}", line.label, _swatch(line.colour, line.dash))
        for number, line in enumerate(chart.lines)
        if not line.is_faint
    ]
    entries += [(f"bars{number}", bars.label, _swatch(bars.colour)) for number, bars in enumerate(chart.bars)]
    if len(entries) < 2:
        return ""
    buttons = "".join(
        f'<button type="button" aria-pressed="true" data-group="{group}" title="{_text(label)}">'
        f"{swatch}{_text(label, LEGEND_CHARACTERS)}</button>"
        for group, label, swatch in entries
    )
    return f'<div class="legend">{buttons}</div>'


def _swatch(colour: Colour, dash: str | None = None) -> str:
    """A dot in a run's colour, or a stroke as a line has it; one for each theme, of which the style sheet hides one."""
    shapes = []
    for name, theme in THEMES.items():
        hexadecimal = escape(resolved(colour, theme))
        if dash is None:
            shapes.append(f'<circle class="{name}" cx="5" cy="5" r="4" fill="{hexadecimal}"/>')
        else:
            stroke = f'stroke="{hexadecimal}" stroke-width="2"{_STROKES.get(dash, "")}'
            shapes.append(f'<path class="{name}" d="M0 5H14" {stroke}/>')
    width = 10 if dash is None else 14
    return f'<svg class="swatch" width="{width}" height="10" aria-hidden="true">{"".join(shapes)}</svg>'


def _comparison(comparison: Comparison | None) -> str:
    if comparison is None:
        return ""
    rows = []
    for row in comparison.rows:
        cells = "".join(
            f'<td{_BEST if place in row.best else ""} title="{_text(cell.note)}">{_text(cell.text)}</td>'
            for place, cell in enumerate(row.cells)
        )
        rows.append(f'<tr><th scope="row" title="{_text(row.help)}">{_text(row.label)}</th>{cells}</tr>')
    notes = "".join(f'<p class="quiet">{_text(note, 500)}</p>' for note in comparison.notes)
    return f"<section>{_table('Comparison', ['', *comparison.runs], rows)}{notes}</section>"


def _about(facts: ReportedRun, *, is_open: bool) -> str:
    """How a run was made, what is wrong with it, and all its series."""
    blocks = [_pairs("Origin", run_origin(facts)), _pairs("Configuration", run_config(facts))]
    bad = [(one.name, f"{one.nonfinite_count:,} of {one.count:,} values") for one in facts.summary.nonfinite]
    blocks.append(_pairs("NaN and infinite values", bad[:_MOST_SERIES_ROWS]))
    rows = [
        f'<tr><th scope="row" title="{_text(one.name)}">{_text(one.name)}</th><td>{one.count:,}</td>'
        f"<td>{one.first_step:,}</td><td>{one.last_step:,}</td><td>{one.last_value:.5g}</td></tr>"
        for one in facts.series[:_MOST_SERIES_ROWS]
    ]
    more = len(facts.series) - len(rows)
    table = _table(f"Series ({len(facts.series):,})", ["name", "points", "first step", "last step", "last value"], rows)
    rest = f'<p class="quiet">and {more:,} more</p>' if more > 0 else ""
    inner = "".join(block for block in blocks if block)
    is_short = is_open and len(rows) <= _FEW_SERIES
    details = f"<details{' open' if is_short else ''}><summary>All series</summary>{table}{rest}</details>"
    return f'<section><h2>{_text(facts.label)}</h2><div class="pairs">{inner}</div>{details}</section>'


def _pairs(heading: str, pairs: list[tuple[str, str]]) -> str:
    if not pairs:
        return ""
    rows = "".join(f'<tr><th scope="row">{_text(name)}</th><td>{_text(value, 2000)}</td></tr>' for name, value in pairs)
    return f"<div><h3>{_text(heading)}</h3><table>{rows}</table></div>"


def _table(caption: str, columns: list[str], rows: list[str]) -> str:
    heads = "".join(f'<th scope="col">{_text(column)}</th>' for column in columns)
    return (
        f'<div class="wide"><table class="grid"><caption>{_text(caption)}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _unseen(patterns: tuple[str, ...]) -> str:
    if not patterns:
        return ""
    listed = ", ".join(_text(pattern) for pattern in patterns[:_MOST_SERIES_ROWS])
    return f"<section><h2>More families</h2><p>Without a chart, for want of room: {listed}</p></section>"


def _text(text: str, characters: int = _TEXT_CHARACTERS) -> str:
    """A text as HTML shows it, also within an attribute's quotes."""
    return escape(shortened(text, characters), quote=True)


def _json(value: Any) -> str:
    """Strict JSON that can stand in a script block: nothing in it ends the block or begins a comment."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
