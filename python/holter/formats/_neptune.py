"""Parquet that neptune-exporter writes: float series become points, single values the configuration.

Columns: https://github.com/neptune-ai/neptune-exporter, README, "Parquet schema". Neptune's steps are decimals; points
at fractional steps are reported, because Holter's steps are integers. A run can have several files, and a file several
runs.
"""

from __future__ import annotations

import re
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from holter.formats._fields import NameErrors, quoted
from holter.formats._source import Batch, Fault, Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

__all__ = ["is_neptune_parquet", "neptune_sources"]

_RUN: Final = ("project_id", "run_id")
_POINT: Final = ("attribute_path", "attribute_type", "step", "float_value")
_SETTING: Final = {
    "float": "float_value",
    "int": "int_value",
    "string": "string_value",
    "bool": "bool_value",
    "datetime": "datetime_value",
    "string_set": "string_set_value",
}
"""The column with the value of a setting, by its type."""
_SKIPPED: Final = {
    "string_series": "texts",
    "histogram_series": "histograms",
    "file": "files",
    "file_series": "files",
}
_BATCH_ROWS: Final = 1 << 16
_MAX_SETTINGS: Final = 10_000
_PART: Final = re.compile(r"_part_(\d+)$")


def is_neptune_parquet(path: Path) -> bool:
    """Return whether a Parquet file has the columns of neptune-exporter.

    Raises:
        ImportError: pyarrow is not installed.
        OSError: The file cannot be read.
    """
    try:
        return not _missing_columns(path)
    except ValueError:
        return False


def neptune_sources(paths: Iterable[Path]) -> list[Source]:
    """Return the runs in the files, in the order of their first parts.

    Raises:
        ImportError: pyarrow is not installed.
        OSError: A file cannot be read.
        ValueError: A file lacks columns of neptune-exporter, or is damaged.
    """
    files: dict[tuple[str, str], list[Path]] = {}
    for path in sorted(paths, key=_part_order):
        for run in _runs_in(path):
            files.setdefault(run, []).append(path)
    is_one_project = len({project for project, _ in files}) == 1
    return [
        Source(
            name=run_id if is_one_project else f"{project}/{run_id}",
            kind="neptune",
            paths=tuple(parts),
            num_bytes=sum(part.stat().st_size for part in parts),
            read=_Run((project, run_id), parts).batches,
            config=_Run((project, run_id), parts).config,
        )
        for (project, run_id), parts in files.items()
    ]


def _part_order(path: Path) -> tuple[str, int, str]:
    part = _PART.search(path.stem)
    return (str(path.parent / path.stem[: part.start()]), int(part[1]), "") if part else (str(path), 0, "")


def _missing_columns(path: Path) -> list[str]:
    from pyarrow import parquet

    with _error_context(path):
        return sorted({*_RUN, *_POINT} - set(parquet.read_schema(path).names))


def _runs_in(path: Path) -> list[tuple[str, str]]:
    if missing := _missing_columns(path):
        raise ValueError(f"{path} is not a file of neptune-exporter: it lacks the columns {', '.join(missing)}")
    with _error_context(path), _open(path) as file:
        found: dict[tuple[str, str], None] = {}
        for batch in _record_batches(file, list(_RUN)):
            pairs = zip(*(_texts(batch.column(name)) for name in _RUN), strict=True)
            found.update(dict.fromkeys(pairs))
    return list(found)


@contextmanager
def _error_context(path: Path) -> Iterator[None]:
    """Adds the path to pyarrow's errors; those of the operating system already have it."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, UnicodeError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        first_line = str(error).partition("\n")[0]
        raise ValueError(f"{path} is damaged: {quoted(first_line)}") from error


def _open(path: Path) -> Any:
    from pyarrow import parquet

    return parquet.ParquetFile(path, read_dictionary=[*_RUN, "attribute_path", "attribute_type"])


def _record_batches(file: Any, columns: list[str]) -> Iterator[Any]:
    for batch in file.iter_batches(_BATCH_ROWS, columns=columns, use_threads=False):
        batch.validate(full=True)  # pyarrow accepts indices beyond a dictionary
        yield batch


class _Run:
    """A run in one or several files."""

    def __init__(self, run: tuple[str, str], parts: Sequence[Path]) -> None:
        self._run = run
        self._parts = parts

    def config(self) -> dict[str, Any]:
        """Return the single values by their paths, at most ten thousand."""
        config: dict[str, Any] = {}
        for _, rows, _, _ in self._rows(["attribute_path", "attribute_type", *dict.fromkeys(_SETTING.values())]):
            types = np.array(_texts(rows.column("attribute_type")), object)
            for index in np.flatnonzero(np.isin(types, list(_SETTING))).tolist():
                if len(config) >= _MAX_SETTINGS:
                    return config
                column = _SETTING[types[index]]
                if column in rows.schema.names:
                    value = rows.column(column)[index].as_py()
                    plain = value if isinstance(value, (bool, int, float, str, list)) else str(value)
                    config[rows.column("attribute_path")[index].as_py()] = None if value is None else plain
        return config

    def batches(self) -> Iterator[Batch]:
        """Yield the points of the float series."""
        name_errors = NameErrors()
        for path, rows, row_numbers, bytes_read in self._rows(list(_POINT)):
            names = np.array(_texts(rows.column("attribute_path")), object)
            types = np.array(_texts(rows.column("attribute_type")), object)
            with _error_context(path):
                steps, is_whole = _whole_steps(rows.column("step"))
            values = rows.column("float_value")
            is_point = (types == "float_series") & ~_is_null(values)
            reasons = {
                "the point has no step": is_point & _is_null(rows.column("step")),
                "the step must be an integer": is_point & ~is_whole & ~_is_null(rows.column("step")),
                **{error: is_point & (names == name) for name in dict.fromkeys(names) if (error := name_errors[name])},
            }
            faults = [
                Fault(path, f"row {row_numbers[index]}", reason)
                for reason, is_faulty in reasons.items()
                for index in np.flatnonzero(is_faulty).tolist()
            ]
            is_good = is_point & ~np.logical_or.reduce(list(reasons.values()))
            numbers = values.fill_null(0.0).to_numpy(zero_copy_only=False)
            yield Batch(
                zip(names[is_good].tolist(), steps[is_good].tolist(), numbers[is_good].tolist(), strict=True),
                faults,
                Counter(_SKIPPED[kind] for kind in types.tolist() if kind in _SKIPPED),
                bytes_read,
            )

    def _rows(self, columns: list[str]) -> Iterator[tuple[Path, Any, npt.NDArray[np.int64], int]]:
        """Yield the run's rows in batches: the file, the columns, the row numbers in it, the estimated bytes read."""
        bytes_before = 0
        for path in self._parts:
            first, num_bytes = 1, path.stat().st_size
            with _error_context(path), _open(path) as file:
                present = [name for name in dict.fromkeys([*_RUN, *columns]) if name in file.schema_arrow.names]
                for batch in _record_batches(file, present):
                    is_in_run = np.ones(batch.num_rows, np.bool_)
                    for name, value in zip(_RUN, self._run, strict=True):
                        is_in_run &= np.array(_texts(batch.column(name)), object) == value
                    rows = batch if is_in_run.all() else batch.take(np.flatnonzero(is_in_run))
                    numbers = np.flatnonzero(is_in_run) + first
                    first += batch.num_rows
                    yield path, rows, numbers, bytes_before + num_bytes * (first - 1) // max(1, file.metadata.num_rows)
            bytes_before += num_bytes


def _texts(column: Any) -> list[str]:
    """A column of strings, "" for nulls."""
    if hasattr(column, "dictionary"):
        words = ["" if word is None else word for word in column.dictionary.to_pylist()]
        return [words[code] if code >= 0 else "" for code in column.indices.fill_null(-1).to_pylist()]
    return ["" if text is None else text for text in column.to_pylist()]


def _is_null(column: Any) -> npt.NDArray[np.bool_]:
    nulls: npt.NDArray[np.bool_] = column.is_null().to_numpy(zero_copy_only=False)
    return nulls


def _whole_steps(column: Any) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """The steps rounded down to integers, and which of them are integers; nulls are 0."""
    import pyarrow as pa

    if not pa.types.is_decimal128(column.type) or column.type.precision > 18 or column.type.scale < 0:
        column = column.cast(pa.decimal128(18, 6))
    # A decimal is a 128-bit integer in units of its last digit; 18 digits lie in the lower 64 bits.
    units = np.frombuffer(column.buffers()[1], "<i8")[0::2][column.offset : column.offset + len(column)]
    per_step = 10**column.type.scale
    units = np.where(_is_null(column), 0, units)
    return units // per_step, units % per_step == 0
