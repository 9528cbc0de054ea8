"""Text that comes from files, made fit for JSON and for being told apart."""

from collections.abc import Sequence

__all__ = ["numbered", "printable"]


def printable(text: str) -> str:
    """Return text that UTF-8 can hold; the name of a file need not be any."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def numbered(labels: Sequence[str]) -> list[str]:
    """Return the labels, each with a number behind it that another one has already."""
    unique: list[str] = []
    for label in labels:
        number, candidate = 1, label
        while candidate in unique:
            number += 1
            candidate = f"{label} ({number})"
        unique.append(candidate)
    return unique
