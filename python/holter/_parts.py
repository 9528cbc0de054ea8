"""The closed Parquet parts of a run, as the core reads them from their footers."""

import os
from typing import NamedTuple

from holter import _core

__all__ = ["Part", "list_parts"]


class Part(NamedTuple):
    """The facts of one part.

    Attributes:
        file_name: Its name in the folder.
        number: The number in that name.
        replaces: The numbers of the parts that it was merged from; these may still exist.
        rows: The number of rows.
    """

    file_name: str
    number: int
    replaces: list[int]
    rows: int


def list_parts(folder: str | os.PathLike[str]) -> list[Part]:
    """Return the readable parts of a folder by number, including those that another part replaces.

    Args:
        folder: A run's `parquet` directory. If it does not exist, it has no parts.

    Raises:
        StoreError: If the folder cannot be read.
    """
    return [Part(*facts) for facts in _core.parquet_parts(folder)]
