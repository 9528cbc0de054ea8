"""The report: runs in, one HTML file out.

write     collects the charts and writes the file
facts     facts of a run       page    renders the HTML page from templates/, with the style and script in static/
"""

from holter.plots.report.write import report

__all__ = ["report"]
