"""The work for all recorders: the same names, steps and values, in the form that a way of logging takes."""

import array
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["BLOCK_STEPS", "inputs", "series_names"]

BLOCK_STEPS = 1000


def series_names(count: int) -> list[str]:
    """Return names of about 30 characters, like those of a model's parameters."""
    return [f"grad_norm/blocks.{i // 10:03}.linear_{i % 10}.weight" for i in range(count)]


def inputs(
    values: pathlib.Path, names: Sequence[str], num_steps: int, form: str, handle: Callable[[str], Any]
) -> Sequence[Any]:
    """Return the input of each step, in order; for `block`, of each `BLOCK_STEPS` steps.

    Args:
        values: A file of float64, step-major.
        names: The series.
        num_steps: How many steps.
        form: One of the forms of `Way.form`; or `columns`, each series as a whole.
        handle: Returns a handle for a name.

    Raises:
        ValueError: If the file is too short or the form is unknown.
    """
    found = array.array("d")
    with values.open("rb") as file:
        try:
            found.fromfile(file, num_steps * len(names))
        except EOFError:
            raise ValueError(f"{values} has {len(found)} values; expected {num_steps * len(names)}") from None
    if form in ("row", "block"):
        import numpy as np

        table: Any = np.frombuffer(found).reshape(num_steps, len(names))
        return table if form == "row" else [table[i : i + BLOCK_STEPS] for i in range(0, num_steps, BLOCK_STEPS)]
    if form == "columns":
        return [found[i :: len(names)] for i in range(len(names))]
    rows = [found[i : i + len(names)] for i in range(0, len(found), len(names))]
    if form == "pairs":
        return [list(zip(names, row, strict=True)) for row in rows]
    if form == "handles":
        handles = [handle(name) for name in names]
        return [list(zip(handles, row, strict=True)) for row in rows]
    if form == "mapping":
        return [dict(zip(names, row, strict=True)) for row in rows]
    raise ValueError(f"unknown form {form!r}: expected pairs, handles, mapping, row, block or columns")
