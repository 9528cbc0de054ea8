"""Shared by the commands that serve a page, `holter serve` and `holter tensorboard`: the folder and the address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holter._text import visible
from holter.cli.output import echo, is_terminal
from holter.cli.runs import default_folder, not_a_folder

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["echo_address", "served_folder"]


def served_folder(folder: Path | None) -> Path:
    """Return the folder to serve, the default one if None. A missing folder is reported and may appear later.

    Raises:
        Problem: If it is a file.
    """
    root = folder if folder is not None else default_folder()
    if root.is_file():
        raise not_a_folder(root)
    if not root.exists():
        echo(visible(f"folder {str(root)!r} does not exist yet; runs will appear once recorded"), error=True)
    return root


def echo_address(url: str, page: str) -> None:
    """Print the address, alone on its line for scripts; on a terminal also what it serves and how to stop."""
    echo(url)
    if is_terminal():
        echo(visible(f"{page}. Press Ctrl-C to stop."))
