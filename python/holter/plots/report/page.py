"""The HTML page of a report, rendered from templates/report.html.

Jinja escapes every text and the JSON of the charts. The content security policy allows the page's own scripts and style
sheets by their hashes and forbids `style` attributes, so the colors of runs are SVG attributes.
"""

from __future__ import annotations

import importlib.resources
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holter._plotly import source_hash, style_attribute_hashes, style_hashes
from holter.plots.build.palette import THEMES, resolved
from holter.plots.build.text import display_text
from holter.plots.report.facts import run_config, run_origin, run_tiles

if TYPE_CHECKING:
    import datetime as dt

    import jinja2

    from holter.analysis import Comparison
    from holter.plots.build.chart import Chart, Color
    from holter.plots.report.facts import ReportedRun

_MAX_ROWS, _MAX_OPEN_ROWS = 1000, 30
_DASHES = {"dash": "5 3", "dot": "2 2"}
_BAD_UNLESS_ZERO = {"NaN or infinite", "dropped"}
_MAX_CHARS = 200
_ROW_PIXELS, _MIN_HEIGHT, _MAX_HEIGHT = 14, 260, 900


@dataclass(frozen=True, slots=True, eq=False)
class ChartPart:
    """A chart of the page.

    Attributes:
        number: Its position among all charts.
        chart: The chart.
        figure: The plotly figure in the light theme.
        dark: Paths in the figure, with their values in the dark theme.
    """

    number: int
    chart: Chart
    figure: dict[str, Any]
    dark: tuple[tuple[tuple[str | int, ...], Any], ...]

    @property
    def height(self) -> int:
        """The height in pixels."""
        num_rows = len(self.chart.heatmap.rows) if self.chart.heatmap is not None else 0
        return min(_MAX_HEIGHT, max(_MIN_HEIGHT, 70 + _ROW_PIXELS * num_rows))

    @property
    def legend(self) -> list[tuple[str, str, Color, str | None]]:
        """The legend group, label, color and dash of each line or set of bars."""
        lines = [
            (f"line{n}", line.label, line.color, line.dash)
            for n, line in enumerate(self.chart.lines)
            if not line.is_faint
        ]
        return lines + [(f"bars{n}", bars.label, bars.color, None) for n, bars in enumerate(self.chart.bars)]


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """Charts under a heading."""

    heading: str
    charts: tuple[ChartPart, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ReportContent:
    """The content of a report; `omitted` has the patterns of the families without charts."""

    title: str
    generated: dt.datetime
    runs: tuple[ReportedRun, ...]
    sections: tuple[Section, ...]
    comparison: Comparison | None
    omitted: tuple[str, ...]

    @property
    def is_live(self) -> bool:
        """Whether any of the runs is still recording."""
        return any(run.summary.is_live for run in self.runs)


def load_template() -> jinja2.Template:
    """Return the template of the page.

    Raises:
        ImportError: If jinja2 is not installed.
    """
    try:
        import jinja2
    except ImportError as error:
        raise ImportError("jinja2 is required: pip install 'holter[serve]'") from error
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("holter.plots.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"short": _short, "thousands": "{:,}".format}
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    environment.globals |= {
        "themes": THEMES,
        "dashes": _DASHES,
        "max_rows": _MAX_ROWS,
        "max_open_rows": _MAX_OPEN_ROWS,
        "resolved": resolved,
        "is_bad": _is_bad,
        "run_tiles": run_tiles,
        "run_columns": _run_columns,
        "run_origin": run_origin,
        "run_config": run_config,
        "nonfinite_rows": _nonfinite_rows,
    }
    return environment.get_template("report.html")


def page(template: jinja2.Template, content: ReportContent, plotly: str) -> str:
    """Return the text of the HTML file.

    Args:
        template: The result of `load_template`.
        content: The content of the report.
        plotly: The text of plotly.min.js.
    """
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
    figures = [{"figure": part.figure, "dark": part.dark} for section in content.sections for part in section.charts]
    html = template.render(content=content, policy=policy, style=style, script=script, plotly=plotly, figures=figures)
    return html.lstrip()  # without the line breaks between macros


def _short(text: str, max_chars: int = _MAX_CHARS) -> str:
    return display_text(text, max_chars)


def _is_bad(label: str, value: str) -> bool:
    """Whether a tile reports a problem."""
    return value in {"failed", "crashed"} if label == "status" else label in _BAD_UNLESS_ZERO and value != "0"


def _run_columns(run: ReportedRun) -> dict[str, str]:
    """The cells of a run in the table of several runs: its tiles, without metrics."""
    return {label: value for label, value, _ in run_tiles(run) if not label.startswith(("best ", "latest "))}


def _nonfinite_rows(run: ReportedRun) -> list[tuple[str, str]]:
    series = run.summary.nonfinite[:_MAX_ROWS]
    return [(facts.name, f"{facts.nonfinite_count:,} of {facts.count:,} values") for facts in series]
