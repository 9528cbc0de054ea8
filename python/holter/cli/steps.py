"""The option `--at`: comma-separated steps, `5000,10000`."""

from __future__ import annotations

import click

__all__ = ["parse_steps"]


def parse_steps(texts: tuple[str, ...]) -> list[int]:
    """Return the steps in the given order, without duplicates.

    Raises:
        BadParameter: If one is not an integer.
    """
    steps = [part.strip().replace("_", "") for text in texts for part in text.split(",")]
    invalid = next((step for step in steps if not step.removeprefix("-").isdecimal()), None)
    if invalid is not None:
        raise click.BadParameter(
            f"{invalid!r} is not a step; expected an integer such as 5000, or several such as 5000,10000",
            param_hint="--at",
        )
    return list(dict.fromkeys(map(int, steps)))
