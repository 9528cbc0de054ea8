"""Opening a run, and finding the runs in a directory."""

import os
import pathlib
import warnings
from collections.abc import Callable, Iterable

from holter import _core
from holter._paths import local_path
from holter._ranks import listed, opened
from holter._run import Run
from holter.exceptions import HolterError, HolterWarning

__all__ = ["list_runs", "open_run", "report_unreadable"]


def open_run(path: str | os.PathLike[str]) -> Run:
    """Open the run in the directory `path` for reading.

    Args:
        path: The directory that was passed to `holter.Logger`, for all ranks of the run; or a directory in it such as
            `rank-00002`, for a single rank. `~` is expanded.

    Raises:
        FileNotFoundError: If the directory does not contain a run.
        FormatVersionError: If a newer version of Holter wrote it.
        StoreError: If its manifest is damaged.
    """
    return Run(opened(local_path(path)))


def list_runs(
    root: str | os.PathLike[str] = "runs",
    *,
    tags: str | Iterable[str] = (),
    where: Callable[[Run], object] | None = None,
    on_unreadable: Callable[[pathlib.Path, str], object] | None = None,
) -> list[Run]:
    """Return the runs in a directory and up to three levels below it, oldest first.

    The ranks of a run are one run. Symbolic links and hidden directories are not followed. A run that cannot be read is
    skipped with a `HolterWarning`.

        holter.list_runs("runs", tags="baseline", where=lambda run: run.config["lr"] < 1e-3)

    Args:
        root: The directory to search; `~` is expanded.
        tags: A tag, or several, all of which a run must have.
        where: Keep only runs for which this returns true. A KeyError, as from a missing setting, counts as false.
        on_unreadable: Called instead of the warning, with the directory of a run that cannot be read and the reason.

    Raises:
        FileNotFoundError: If the directory does not exist.
    """
    root = local_path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"directory {os.fspath(root)!r} does not exist; list_runs takes a directory of runs")
    wanted = {tags} if isinstance(tags, str) else set(tags)
    readers, unreadable = _core.list_runs(root)
    found = []
    for run in (Run(listed(reader, root)) for reader in readers):
        try:
            if all(tag in run.tags for tag in wanted) and (where is None or _accepts(where, run)):
                found.append(run)
        except (HolterError, OSError) as error:  # noqa: PERF203  one unreadable run must not hide the others
            unreadable.append((run.path, str(error)))
    for path, reason in unreadable:
        report_unreadable(path, reason, on_unreadable)
    return found


def report_unreadable(
    path: pathlib.Path, reason: str, on_unreadable: Callable[[pathlib.Path, str], object] | None
) -> None:
    """Call `on_unreadable`, or issue a warning without it."""
    if on_unreadable is None:
        warnings.warn(f"{path} is skipped: {reason}", HolterWarning, stacklevel=3)
    else:
        on_unreadable(path, reason)


def _accepts(where: Callable[[Run], object], run: Run) -> bool:
    try:
        return bool(where(run))
    except KeyError:
        return False


for _public in (list_runs, open_run):
    _public.__module__ = "holter"
