"""Which runs are in files and directories, and in which format.

A file's format is told by its name, else by how it begins. Of a directory all is taken that is meant for recording:
event files, `metrics.jsonl`, `metrics.csv` and neptune-exporter's Parquet; if the format is given, every file of it.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from holter.formats._csv import read_csv
from holter.formats._events import read_events
from holter.formats._jsonl import read_jsonl
from holter.formats._model import Source
from holter.formats._neptune import is_neptunes, neptune_sources

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["KINDS", "find_sources"]

KINDS: Final = ("tfevents", "jsonl", "csv", "neptune")

_SUFFIXES: Final = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "csv", ".parquet": "neptune",
}  # fmt: skip
_LOGGERS_FILES: Final = frozenset({"metrics.jsonl", "metrics.csv"})
_GENERAL_NAMES: Final = frozenset({"events", "history", "log", "logs", "metrics", "progress", "training"})
"""Names of files that say nothing of the run; its directory's does."""
_NUM_PEEKED: Final = 4096


def find_sources(path: str | os.PathLike[str], kind: str | None = None) -> list[Source]:
    """Find the runs that a file or a directory holds.

    Symbolic links and hidden directories are not followed, and runs of Holter's are not looked into.

    Args:
        path: The file or directory.
        kind: One of `KINDS`; told by the files if None.

    Returns:
        The runs in the order of their names; none if there is nothing.

    Raises:
        FileNotFoundError: There is no such file or directory.
        ImportError: A format needs a library that is not installed.
        OSError: Something cannot be read.
        ValueError: A file's format cannot be told, or it is not what it has to be.
    """
    root = Path(path)
    if root.is_dir():
        if _is_holters(root):
            raise ValueError(f"{root} is a run of Holter's already; copy its directory: cp -r")
        return _in_directory(root, kind)
    if not root.exists():
        raise FileNotFoundError(f"there is no file or directory {str(root)!r}")
    return _of_kind(kind or _kind_of(root), [root], root.parent, is_alone=True)


def _in_directory(root: Path, kind: str | None) -> list[Source]:
    files: dict[str, list[Path]] = {}
    for path in _files_below(root):
        found = _kind_by_name(path)
        if found is None or kind not in (None, found):
            continue
        is_meant = kind is not None or found in ("tfevents", "neptune") or path.name in _LOGGERS_FILES
        if is_meant and (found != "neptune" or kind is not None or is_neptunes(path)):
            files.setdefault(found, []).append(path)
    sources = [source for found, paths in files.items() for source in _of_kind(found, paths, root, is_alone=False)]
    return sorted(sources, key=lambda source: source.name)


def _files_below(root: Path) -> Iterator[Path]:
    for directory, below, names in os.walk(root):
        below[:] = sorted(name for name in below if not name.startswith(".") and not _is_holters(Path(directory, name)))
        for path in (Path(directory, name) for name in sorted(names)):
            if path.is_file() and not path.is_symlink():
                yield path


def _of_kind(kind: str, paths: Iterable[Path], root: Path, *, is_alone: bool) -> list[Source]:
    if kind == "neptune":
        return neptune_sources(paths)
    if kind == "tfevents":
        runs: dict[str, list[Path]] = {}
        for path in paths:
            runs.setdefault(_name_below(root, path.parent), []).append(path)
        return [_source(name, kind, files) for name, files in runs.items()]
    sources = []
    for path in paths:
        is_general = path.stem.lower() in _GENERAL_NAMES
        if is_alone:
            name = path.resolve().parent.name if is_general else path.stem
        else:
            name = _name_below(root, path.parent if is_general else path.with_suffix(""))
        sources.append(_source(name or path.stem, kind, [path]))
    return sources


def _source(name: str, kind: str, paths: list[Path]) -> Source:
    if kind == "tfevents":
        read = functools.partial(read_events, paths)
    else:
        read = functools.partial(read_csv if kind == "csv" else read_jsonl, paths[0])
    return Source(name, kind, tuple(paths), sum(path.stat().st_size for path in paths), read)


def _name_below(root: Path, path: Path) -> str:
    """A run's name: where it is below the directory that was named; that directory's own if it is this."""
    relative = path.relative_to(root).as_posix()
    return (root.resolve().name or "run") if relative == "." else relative


def _is_holters(directory: Path) -> bool:
    return (directory / "run.json").is_file()


def _kind_by_name(path: Path) -> str | None:
    return "tfevents" if "tfevents" in path.name else _SUFFIXES.get(path.suffix.lower())


def _kind_of(path: Path) -> str:
    """The format of a file, by its name or its first bytes.

    Raises:
        ValueError: It cannot be told.
    """
    if kind := _kind_by_name(path):
        return kind
    if path.is_file():
        with path.open("rb") as file:
            begin = file.read(_NUM_PEEKED)
        if begin.startswith(b"PAR1"):
            return "neptune"
        if begin.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
            return "jsonl"
        if any(separator in begin.partition(b"\n")[0] for separator in (b",", b"\t", b";")):
            return "csv"
    raise ValueError(f"{path} does not say in which format it is")
