"""Numbers and tables as text."""

from tables import format_number

__all__ = ["format_number", "nanoseconds", "rate", "seconds", "share", "table"]


def nanoseconds(value: float) -> str:
    """Format a duration of nanoseconds in a suitable unit."""
    if value < 1e4:
        return f"{format_number(value)} ns"
    return f"{format_number(value / 1e3)} µs" if value < 1e7 else f"{format_number(value / 1e6)} ms"


def seconds(value: float) -> str:
    """Format a duration of seconds, in milliseconds if it is short."""
    return f"{format_number(value * 1e3)} ms" if value < 10 else f"{format_number(value)} s"


def rate(value: float) -> str:
    """Format a number per second."""
    return f"{value:,.0f}"


def share(part: int, whole: int) -> str:
    """Format a part as a percentage of the whole; a part of zero as a count."""
    return f"{part / whole:.2%}" if part else f"0 of {whole:,}"


def table(header: list[str], rows: list[list[str]], num_texts: int = 1) -> str:
    """Format a Markdown table whose first `num_texts` columns are text and the others numbers."""
    rule = ["---" if column < num_texts else "---:" for column in range(len(header))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [header, rule, *rows])
