"""Numbers and tables as text."""

from tables import short

__all__ = ["nanoseconds", "rate", "seconds", "share", "short", "table"]


def nanoseconds(value: float) -> str:
    """A duration of nanoseconds, in the unit that suits it."""
    if value < 1e4:
        return f"{short(value)} ns"
    return f"{short(value / 1e3)} µs" if value < 1e7 else f"{short(value / 1e6)} ms"


def seconds(value: float) -> str:
    """A duration of seconds, in milliseconds if it is a short one."""
    return f"{short(value * 1e3)} ms" if value < 10 else f"{short(value)} s"


def rate(value: float) -> str:
    """A number a second."""
    return f"{value:,.0f}"


def share(part: int, whole: int) -> str:
    """How much of the whole a part is; that there is none is said as a count."""
    return f"{part / whole:.2%}" if part else f"0 of {whole:,}"


def table(header: list[str], rows: list[list[str]], num_texts: int = 1) -> str:
    """A table in Markdown whose first columns are texts and the others numbers."""
    rule = ["---" if column < num_texts else "---:" for column in range(len(header))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [header, rule, *rows])
