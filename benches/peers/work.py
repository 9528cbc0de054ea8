"""The work that all recorders are given: the same names, steps and values, in the form that a way to log takes."""

import array
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["BLOCK_STEPS", "inputs", "series_names"]

BLOCK_STEPS = 1000  # of a `block`


def series_names(count: int) -> list[str]:
    """Names of some 30 characters, as layers of a model have them."""
    return [f"grad_norm/blocks.{i // 10:03}.linear_{i % 10}.weight" for i in range(count)]


def inputs(
    values: pathlib.Path, names: Sequence[str], num_steps: int, takes: str, handle: Callable[[str], Any]
) -> Sequence[Any]:
    """What each step logs, in order; of a `block`, what each `BLOCK_STEPS` steps log.

    Args:
        values: A file of float64, one step of all names after another.
        names: The series.
        num_steps: How many steps.
        takes: The form, as `Way.takes` says; or `columns`, all of each series.
        handle: Makes a handle of a name.

    Raises:
        ValueError: If the file is too short, or the form unknown.
    """
    found = array.array("d")
    with values.open("rb") as file:
        try:
            found.fromfile(file, num_steps * len(names))
        except EOFError:
            raise ValueError(f"{values} has {len(found)} values, {num_steps * len(names)} are needed") from None
    if takes in ("row", "block"):
        import numpy as np

        table: Any = np.frombuffer(found).reshape(num_steps, len(names))
        return table if takes == "row" else [table[i : i + BLOCK_STEPS] for i in range(0, num_steps, BLOCK_STEPS)]
    if takes == "columns":
        return [found[i :: len(names)] for i in range(len(names))]
    rows = [found[i : i + len(names)] for i in range(0, len(found), len(names))]
    if takes == "pairs":
        return [list(zip(names, row, strict=True)) for row in rows]
    if takes == "handles":
        handles = [handle(name) for name in names]
        return [list(zip(handles, row, strict=True)) for row in rows]
    if takes == "mapping":
        return [dict(zip(names, row, strict=True)) for row in rows]
    raise ValueError(f"{takes!r} is no form of input: expected pairs, handles, mapping, row, block or columns")
