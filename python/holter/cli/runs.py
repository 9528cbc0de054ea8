"""The arguments RUN and RUNS: runs by path or by name, and helpful errors if there is none.

Names are looked up in the default folder, which is `./runs` or `HOLTER_DIR`.
"""

from __future__ import annotations

import difflib
import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

import holter
from holter._text import counted
from holter.cli.problems import Problem, error_text

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["FOLDER", "RUN", "Listing", "default_folder", "list_folder", "locate", "not_found", "open_run"]

if TYPE_CHECKING:
    _TextType = click.ParamType[str]
else:
    _TextType = click.ParamType  # generic from click 8.5 on

MAX_LISTED = 6
"""Maximum number of runs in a message."""
RUN_DIRECTORY_HINT = "pass the directory that was given to holter.Logger"


class RunType(_TextType):
    """A run, by its path or its name, with completion of both."""

    name = "run"

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        """Complete names of runs in the default folder, else directories."""
        from click.shell_completion import CompletionItem

        try:
            listing = list_folder(default_folder())
        except (click.ClickException, OSError, holter.HolterError):
            return [CompletionItem(incomplete, type="dir")]
        found = [name for name in listing.names() if name.startswith(incomplete)]
        return [CompletionItem(name) for name in found] or [CompletionItem(incomplete, type="dir")]


RUN = RunType()
FOLDER = click.Path(path_type=Path)


class Unreadable(NamedTuple):
    """A directory that looks like a run but cannot be read, and why."""

    path: Path
    reason: str


class Listing(NamedTuple):
    """The runs of a folder.

    Attributes:
        folder: The folder.
        runs: Its readable runs, oldest first.
        problems: The others.
    """

    folder: Path
    runs: list[holter.Run]
    problems: list[Unreadable]

    def names(self) -> list[str]:
        """Return the paths of the runs relative to the folder."""
        return [self.name_of(run) for run in self.runs]

    def name_of(self, run: holter.Run) -> str:
        """Return the path of a run relative to the folder, or the run's own name if it is the folder."""
        try:
            below = run.path.relative_to(self.folder)
        except ValueError:
            return str(run.path)
        return run.path.absolute().name if below == Path() else str(below)


def default_folder() -> Path:
    """Return the folder of runs if none is given."""
    from holter._config import Environment

    try:
        return Path(Environment().directory)
    except ValueError as error:
        raise Problem(str(error), "unset the variable, or set it to one of these values") from None


def list_folder(folder: Path) -> Listing:
    """Find the runs of a folder.

    Raises:
        Problem: If the folder does not exist or cannot be read.
    """
    if not folder.is_dir():
        if folder.exists():
            raise not_a_folder(folder)
        raise Problem(
            f"folder {str(folder)!r} does not exist",
            "pass the folder that contains your runs, or set HOLTER_DIR to it; `holter demo` records a first run",
        )
    problems: list[Unreadable] = []
    try:
        runs = holter.list_runs(folder, on_unreadable=lambda path, reason: problems.append(Unreadable(path, reason)))
    except holter.StoreError as error:
        raise Problem(str(error), f"`ls -ld {folder}` shows the permissions") from None
    return Listing(folder, runs, problems)


def not_a_folder(path: Path) -> Problem:
    """Return the error for a file where a folder of runs is expected."""
    return Problem(f"{path} is a file; expected a folder of runs", "pass the folder that contains it")


def open_run(text: str) -> holter.Run:
    """Open the run with this path or name.

    Raises:
        Problem: If there is none; it lists what exists instead.
        FormatVersionError: If a newer Holter wrote it.
    """
    for path in _candidates(text):
        if run := _run_at(path):
            return run
    named = _named(text)
    if len(named) > 1:
        paths = ", ".join(str(run.path) for run in named[:MAX_LISTED])
        raise Problem(f"{len(named)} runs are named {text!r}: {paths}", "pass the path of one of them")
    if named:
        return named[0]
    raise not_found(text)


def _run_at(path: Path) -> holter.Run | None:
    try:
        return holter.open_run(path)
    except FileNotFoundError:
        return None
    except holter.StoreError as error:
        raise Problem(str(error), f"run `holter doctor {path}` to diagnose it") from None


def locate(text: str) -> Path:
    """Return the directory with this path or name, without opening it: it may be a damaged run."""
    return next((path for path in _candidates(text) if path.is_dir()), Path(text))


def _candidates(text: str) -> list[Path]:
    path = Path(text)
    is_plain = not path.is_absolute() and not text.startswith((".", "~"))
    return [path, default_folder() / path] if is_plain else [path]


def _named(text: str) -> list[holter.Run]:
    """The runs of the default folder whose manifest has this name."""
    if os.sep in text:
        return []
    try:
        return [run for run in list_folder(default_folder()).runs if run.name == text]
    except Problem:
        return []


def not_found(text: str) -> Problem:
    """Return the error for an argument that is not a run, with the most likely cause and a hint."""
    path = locate(text)
    try:
        if path.is_file():
            return _not_found_in_file(path)
        if path.is_dir():
            return _not_found_in_folder(path)
    except OSError as error:
        return Problem(error_text(error), "make the run's directory readable")
    return _not_found_anywhere(text)


def _not_found_anywhere(text: str) -> Problem:
    is_path = os.sep in text.rstrip(os.sep)
    folder = Path(text).parent if is_path else default_folder()
    cause = f"run {text!r} does not exist"
    try:
        names = list_folder(folder).names()
    except Problem as problem:
        return Problem(f"{cause}: {problem.message}")
    offered = [str(folder / name) for name in names] if is_path else names
    close = difflib.get_close_matches(text, offered[:10_000], n=1, cutoff=0.5)
    if close:
        return Problem(cause, f"did you mean {close[0]!r}?")
    if names:
        return Problem(cause, f"{folder} contains {_listed(names)}; `holter ls {folder}` lists them")
    return Problem(f"{cause}: {folder} contains no runs", "`holter demo` records a first run")


def _not_found_in_file(path: Path) -> Problem:
    for parent in itertools.islice(path.parents, 3):
        try:
            run = holter.open_run(parent)
        except (OSError, holter.HolterError):
            continue
        return Problem(f"{path} is a file of the run {run.path}; expected a directory", f"pass {run.path}")
    return Problem(f"{path} is a file; expected the directory of a run", RUN_DIRECTORY_HINT)


def _not_found_in_folder(path: Path) -> Problem:
    listing = list_folder(path)
    if listing.runs:
        runs = _listed([str(run.path) for run in listing.runs])
        return Problem(
            f"{path} is a folder of runs, not a run; it contains {runs}",
            f"pass one of them; `holter ls {path}` lists them",
        )
    if (path / "metrics.sqlite").exists() or (path / "parquet").exists():
        return Problem(
            f"{path} contains points but no run.json: the copy is incomplete",
            "copy the whole directory again; SQLite and Parquet readers can read the files that exist",
        )
    if listing.problems:
        reason = listing.problems[0].reason
        return Problem(f"{path} contains no readable run: {reason}", f"run `holter doctor {path}` to diagnose it")
    if not any(path.iterdir()):
        return Problem(f"{path} is empty; expected the directory of a run", RUN_DIRECTORY_HINT)
    return Problem(f"{path} is not a run: it has no run.json", RUN_DIRECTORY_HINT)


def _listed(names: list[str]) -> str:
    """`3 runs (a, b, c)`, with at most `MAX_LISTED` names."""
    more = ", …" if len(names) > MAX_LISTED else ""
    return f"{counted(len(names), 'run')} ({', '.join(names[:MAX_LISTED])}{more})"
