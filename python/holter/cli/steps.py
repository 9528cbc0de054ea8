"""The option `--at`: steps with commas between them, `5000,10000`."""

from __future__ import annotations

import click

__all__ = ["parsed_steps"]


def parsed_steps(texts: tuple[str, ...]) -> list[int]:
    """Return the steps, each once, in the order in which they were given.

    Raises:
        BadParameter: If something is no integer.
    """
    steps = [part.strip().replace("_", "") for text in texts for part in text.split(",")]
    wrong = next((step for step in steps if not step.removeprefix("-").isdecimal()), None)
    if wrong is not None:
        raise click.BadParameter(
            f"{wrong!r} is no step; write steps with commas, such as 5000,10000", param_hint="--at"
        )
    return list(dict.fromkeys(map(int, steps)))
