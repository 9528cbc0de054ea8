"""The arguments RUN and RUNS: found by path or by name, and where not, the reason and the way out.

The folder that runs are looked for in is `./runs`, or what `HOLTER_DIR` names.
"""

from __future__ import annotations

import difflib
import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

import holter
from holter.cli.output import echo
from holter.cli.problems import Problem, failure
from holter.cli.text import visible

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["FOLDER", "RUN", "Listing", "default_folder", "list_folder", "locate", "missing", "open_run", "shown_folder"]

if TYPE_CHECKING:
    _TextType = click.ParamType[str]
else:
    _TextType = click.ParamType  # generic from click 8.5 on

NUM_NAMED = 6
"""How many runs a message names."""


class RunType(_TextType):
    """A run, by its path or its name; completed to both."""

    name = "run"

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        """Offer the runs of the default folder by name, and directories for a path."""
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
    """What looks like a run and cannot be read, and why."""

    path: Path
    reason: str


class Listing(NamedTuple):
    """The runs of a folder.

    Attributes:
        folder: Where was looked.
        runs: Those that could be opened, the oldest first.
        problems: What else looks like a run.
    """

    folder: Path
    runs: list[holter.Run]
    problems: list[Unreadable]

    def names(self) -> list[str]:
        """How each run is called for short: its path below the folder."""
        return [self.name_of(run) for run in self.runs]

    def name_of(self, run: holter.Run) -> str:
        """The run's path below the folder; its own name if it is the folder itself."""
        try:
            below = run.path.relative_to(self.folder)
        except ValueError:
            return str(run.path)
        return run.path.absolute().name if below == Path() else str(below)


def default_folder() -> Path:
    """The folder where runs are when none is named."""
    from holter._config import Environment

    try:
        return Path(Environment().directory)
    except ValueError as error:
        raise Problem(str(error), "unset the variable, or set it to one of these") from None


def shown_folder(folder: Path | None) -> Path:
    """The folder that a page shows, the default one if None; one that is not there yet is told, and may come.

    Raises:
        Problem: If it is a file.
    """
    root = folder if folder is not None else default_folder()
    if root.is_file():
        raise Problem(f"{root} is a file, and runs lie in a folder", "name the folder that it is in")
    if not root.exists():
        echo(visible(f"there is no folder {str(root)!r} yet: runs appear when they are recorded"), error=True)
    return root


def list_folder(folder: Path) -> Listing:
    """Find the runs of a folder.

    Raises:
        Problem: If there is no such folder or it cannot be read.
    """
    if not folder.is_dir():
        if folder.exists():
            raise Problem(f"{folder} is a file, and runs lie in a folder", "name the folder that it is in")
        raise Problem(
            f"there is no folder {str(folder)!r}",
            "name the folder that the runs are in, or set HOLTER_DIR to it; `holter demo` records a first run",
        )
    problems: list[Unreadable] = []
    try:
        runs = holter.list_runs(folder, on_unreadable=lambda path, reason: problems.append(Unreadable(path, reason)))
    except holter.StoreError as error:
        raise Problem(str(error), f"`ls -ld {folder}` shows who may read it") from None
    return Listing(folder, runs, problems)


def open_run(text: str) -> holter.Run:
    """Open the run that an argument names.

    Raises:
        Problem: If there is none; it says what is there instead.
        FormatVersionError: If a newer Holter wrote it.
    """
    for path in _candidates(text):
        if run := _run_at(path):
            return run
    named = _named(text)
    if len(named) > 1:
        paths = ", ".join(str(run.path) for run in named[:NUM_NAMED])
        raise Problem(f"{len(named)} runs are named {text!r}: {paths}", "name one of them by its path")
    if named:
        return named[0]
    raise missing(text)


def _run_at(path: Path) -> holter.Run | None:
    try:
        return holter.open_run(path)
    except FileNotFoundError:
        return None
    except holter.StoreError as error:
        raise Problem(str(error), f"`holter doctor {path}` looks into it") from None


def locate(text: str) -> Path:
    """The directory that an argument means, for what also deals with damaged runs: not checked any further."""
    return next((path for path in _candidates(text) if path.is_dir()), Path(text))


def _candidates(text: str) -> list[Path]:
    path = Path(text)
    is_plain = not path.is_absolute() and not text.startswith((".", "~"))
    return [path, default_folder() / path] if is_plain else [path]


def _named(text: str) -> list[holter.Run]:
    """The runs of the default folder whose manifest gives them this name."""
    if os.sep in text:
        return []
    try:
        return [run for run in list_folder(default_folder()).runs if run.name == text]
    except Problem:
        return []


def missing(text: str) -> Problem:
    """Why an argument names no run, as far as the files can tell, and what would."""
    path = locate(text)
    try:
        if path.is_file():
            return _missing_at_a_file(path)
        if path.is_dir():
            return _missing_in_a_folder(path)
    except OSError as error:
        return Problem(failure(error), "a run's directory has to be readable by you")
    return _missing_everywhere(text)


def _missing_everywhere(text: str) -> Problem:
    """What is named most like it, where it was looked for."""
    is_path = os.sep in text.rstrip(os.sep)
    folder = Path(text).parent if is_path else default_folder()
    try:
        known = list_folder(folder).names()
    except Problem as problem:
        return Problem(f"there is no run {text!r}, and {problem.message}")
    offered = [str(folder / name) for name in known] if is_path else known
    close = difflib.get_close_matches(text, offered[:10_000], n=1, cutoff=0.5)
    if close:
        return Problem(f"there is no run {text!r}", f"did you mean {close[0]!r}?")
    if known:
        return Problem(f"there is no run {text!r}", f"{folder} has {_some(known)}; `holter ls {folder}` lists them")
    return Problem(f"there is no run {text!r}, and {folder} holds no runs", "`holter demo` records a first one")


def _missing_at_a_file(path: Path) -> Problem:
    for parent in itertools.islice(path.parents, 3):
        try:
            run = holter.open_run(parent)
        except (OSError, holter.HolterError):
            continue
        return Problem(f"{path} is a file of the run {run.path}", f"a run is a directory: name {run.path}")
    return Problem(f"{path} is a file, and a run is a directory", "name the directory that holter.Logger was given")


def _missing_in_a_folder(path: Path) -> Problem:
    listing = list_folder(path)
    if listing.runs:
        known = [str(run.path) for run in listing.runs]
        return Problem(
            f"{path} is no run itself; it holds {_some(known)}",
            f"name one of them; `holter ls {path}` lists them",
        )
    if (path / "metrics.sqlite").exists() or (path / "parquet").exists():
        return Problem(
            f"{path} has a run's points but no run.json: it was copied in part",
            "copy the whole directory again; meanwhile any SQLite or Parquet reader can read what is there",
        )
    if listing.problems:
        reason = listing.problems[0].reason
        return Problem(f"{path} holds no run that can be read: {reason}", f"`holter doctor {path}` looks into it")
    if not any(path.iterdir()):
        return Problem(f"{path} is empty: it holds no run", "a run is the directory that holter.Logger was given")
    return Problem(f"{path} holds no run (no run.json)", "a run is the directory that holter.Logger was given")


def _some(names: list[str]) -> str:
    """`3 runs (a, b, c)`, not more of them than fit a message."""
    more = ", …" if len(names) > NUM_NAMED else ""
    return f"{len(names)} run{'' if len(names) == 1 else 's'} ({', '.join(names[:NUM_NAMED])}{more})"
