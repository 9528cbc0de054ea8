"""Finds the runs in files and directories, and their formats.

A file's suffix determines its format, or else its first bytes. A directory is searched for the files that loggers
write: event files, `metrics.jsonl`, `metrics.csv` and neptune-exporter's Parquet; with a given format, for all files of
that format.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from holter.formats._csv import read_csv
from holter.formats._jsonl import read_jsonl
from holter.formats._neptune import is_neptune_parquet, neptune_sources
from holter.formats._source import Source
from holter.formats._tfevents import read_tfevents

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["KINDS", "UnknownFormatError", "find_sources"]

KINDS: Final = ("tfevents", "jsonl", "csv", "neptune")

_SUFFIXES: Final = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "csv", ".parquet": "neptune",
}  # fmt: skip
_LOGGER_FILES: Final = frozenset({"metrics.jsonl", "metrics.csv"})
_GENERIC_STEMS: Final = frozenset({"events", "history", "log", "logs", "metrics", "progress", "training"})
"""Names of files that do not identify the run; the directory's name does."""
_NUM_SNIFFED_BYTES: Final = 4096


class UnknownFormatError(ValueError):
    """The format of a file cannot be detected."""


def find_sources(path: str | os.PathLike[str], kind: str | None = None) -> list[Source]:
    """Find the runs in a file or a directory.

    Symbolic links and hidden directories are not followed, and Holter's own runs are skipped.

    Args:
        path: The file or directory.
        kind: The format, one of `KINDS`; detected if None.

    Returns:
        The runs by name; none if the directory contains none.

    Raises:
        FileNotFoundError: There is no such file or directory.
        ImportError: A format needs a library that is not installed.
        OSError: A file or directory cannot be read.
        UnknownFormatError: The format of the file cannot be detected.
        ValueError: A file is invalid, or the directory is a run of Holter.
    """
    root = Path(path)
    if root.is_dir():
        if _is_holter_run(root):
            raise ValueError(f"{root} is already a Holter run; copy the directory instead: cp -r")
        return _in_directory(root, kind)
    if not root.exists():
        raise FileNotFoundError(f"no such file or directory: {str(root)!r}")
    return _of_kind(kind or _kind_of(root), [root], root.parent, is_single_file=True)


def _in_directory(root: Path, kind: str | None) -> list[Source]:
    files: dict[str, list[Path]] = {}
    for path in _files_below(root):
        found = _kind_by_name(path)
        if found is None or kind not in (None, found):
            continue
        is_log = kind is not None or found in ("tfevents", "neptune") or path.name in _LOGGER_FILES
        if is_log and (found != "neptune" or kind is not None or is_neptune_parquet(path)):
            files.setdefault(found, []).append(path)
    sources = [
        source for found, paths in files.items() for source in _of_kind(found, paths, root, is_single_file=False)
    ]
    return sorted(sources, key=lambda source: source.name)


def _files_below(root: Path) -> Iterator[Path]:
    for directory, below, names in os.walk(root):
        below[:] = sorted(
            name for name in below if not name.startswith(".") and not _is_holter_run(Path(directory, name))
        )
        for path in (Path(directory, name) for name in sorted(names)):
            if path.is_file() and not path.is_symlink():
                yield path


def _of_kind(kind: str, paths: Iterable[Path], root: Path, *, is_single_file: bool) -> list[Source]:
    if kind == "neptune":
        return neptune_sources(paths)
    if kind == "tfevents":
        runs: dict[str, list[Path]] = {}
        for path in paths:
            runs.setdefault(_relative_name(root, path.parent), []).append(path)
        return [_source(name, kind, files) for name, files in runs.items()]
    sources = []
    for path in paths:
        is_generic = path.stem.lower() in _GENERIC_STEMS
        if is_single_file:
            name = path.resolve().parent.name if is_generic else path.stem
        else:
            name = _relative_name(root, path.parent if is_generic else path.with_suffix(""))
        sources.append(_source(name or path.stem, kind, [path]))
    return sources


def _source(name: str, kind: str, paths: list[Path]) -> Source:
    if kind == "tfevents":
        read = functools.partial(read_tfevents, paths)
    else:
        read = functools.partial(read_csv if kind == "csv" else read_jsonl, paths[0])
    return Source(name, kind, tuple(paths), sum(path.stat().st_size for path in paths), read)


def _relative_name(root: Path, path: Path) -> str:
    """The path relative to the root; the root's own name if they are the same."""
    relative = path.relative_to(root).as_posix()
    return (root.resolve().name or "run") if relative == "." else relative


def _is_holter_run(directory: Path) -> bool:
    return (directory / "run.json").is_file()


def _kind_by_name(path: Path) -> str | None:
    return "tfevents" if "tfevents" in path.name else _SUFFIXES.get(path.suffix.lower())


def _kind_of(path: Path) -> str:
    """The format of a file, from its name or its first bytes."""
    if kind := _kind_by_name(path):
        return kind
    if path.is_file():
        with path.open("rb") as file:
            start = file.read(_NUM_SNIFFED_BYTES)
        if start.startswith(b"PAR1"):
            return "neptune"
        if start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
            return "jsonl"
        if any(separator in start.partition(b"\n")[0] for separator in (b",", b"\t", b";")):
            return "csv"
    raise UnknownFormatError(f"the format of {path} is unknown; expected one of {', '.join(KINDS)}")
