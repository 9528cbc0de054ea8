"""`holter import`: import other recorders' files as runs, and report each line that cannot be read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

import holter
from holter._text import counted, visible
from holter.cli.output import echo, echo_error, echo_json
from holter.cli.problems import FAILED, Problem, error_text
from holter.cli.progress import byte_bar
from holter.cli.runs import FOLDER, default_folder
from holter.cli.text import count_text

if TYPE_CHECKING:
    from holter.formats import Fault, Imported, Source

__all__ = ["import_"]

KINDS = ("auto", "tfevents", "jsonl", "csv", "neptune")
MAX_REPORTED = 100
"""Maximum number of unreadable lines of a run that are reported one by one; the rest are counted."""


@click.command(name="import")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path))
@click.option("--into", "folder", type=FOLDER, metavar="RUNS", help="Folder for the new runs (default: ./runs).")
@click.option("--name", help="Name of the run, if the PATHs contain a single one.")
@click.option("--format", "kind", type=click.Choice(KINDS), default="auto", help="Input format (default: detect).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def import_(paths: tuple[Path, ...], folder: Path | None, name: str | None, kind: str, *, as_json: bool) -> None:
    """Import other recorders' files as runs: event files, JSON Lines, CSV, and Parquet exported from Neptune.

    Use it to compare earlier trainings with new ones. PATH is a file or a directory. In a directory, every event file,
    metrics.jsonl, metrics.csv and Parquet file of neptune-exporter is imported; with --format, every file of that
    format. Each source becomes a run in RUNS and keeps its name. Existing runs are never changed.

    A line of JSON Lines is a flat object with a step (step, _step, global_step, iteration or epoch). CSV has a column
    for the step and one for each metric, or the columns name, step, value. Values that are not numbers are skipped and
    counted. Lines that cannot be read are reported with file and line number, the rest is imported, and the exit
    status is then 1. Points get the time of the import.

    \b
    Examples:
      holter import tensorboard-logs
      holter import lightning_logs --format csv --into runs/lightning
      holter import exp-7/metrics.jsonl --name exp-7 --json | jq '.runs[].num_points'
    """
    plans = _plans(paths, folder if folder is not None else default_folder(), name, None if kind == "auto" else kind)
    report: dict[str, Any] = {"runs": [], "problems": []}
    for plan in plans:
        _import_one(plan, report, as_json=as_json)
    if as_json:
        echo_json(report)
    if report["problems"]:
        raise click.exceptions.Exit(FAILED)


class Plan(NamedTuple):
    """A source and the run to create from it."""

    source: Source
    name: str
    directory: Path


def _plans(paths: tuple[Path, ...], folder: Path, name: str | None, kind: str | None) -> list[Plan]:
    """Return the imports to do, before the first one starts.

    Raises:
        Problem: If there is nothing to import, or a run already exists.
    """
    from holter.formats import directory_name

    sources = [source for path in dict.fromkeys(paths) for source in _sources(path, kind)]
    if name is not None and len(sources) > 1:
        names = ", ".join(source.name for source in sources[:6])
        raise Problem(
            f"--name is for one run, but the PATHs contain {len(sources)}: {names}", "omit it, or pass fewer PATHs"
        )
    plans: dict[Path, Plan] = {}
    for source in sources:
        plan = Plan(source, name or source.name, folder / directory_name(name or source.name))
        if other := plans.get(plan.directory):
            raise Problem(
                f"{other.source.paths[0]} and {source.paths[0]} would both be imported as {plan.directory}",
                "import them one by one with --name, or select one with --format",
            )
        if plan.directory.exists():
            raise Problem(f"{plan.directory} already exists", "pass another --name, or another folder with --into")
        plans[plan.directory] = plan
    return list(plans.values())


def _sources(path: Path, kind: str | None) -> list[Source]:
    from holter.formats import UnknownFormatError, find_sources

    try:
        sources = find_sources(path, kind)
    except FileNotFoundError as error:
        raise Problem(error_text(error)) from None
    except ImportError:
        raise Problem(
            "reading Neptune's Parquet needs pyarrow, which is not installed", "pip install 'holter[arrow]'"
        ) from None
    except UnknownFormatError as error:
        raise Problem(str(error), "add --format tfevents|jsonl|csv|neptune") from None
    except ValueError as error:
        raise Problem(str(error)) from None
    if not sources:
        files = f"{kind} file" if kind else "event file, metrics.jsonl, metrics.csv or Parquet of Neptune"
        raise Problem(f"{path} contains no {files}", "pass the file itself, or its format with --format")
    return sources


def _import_one(plan: Plan, report: dict[str, Any], *, as_json: bool) -> None:
    """Import one run, print the result, and add it to the report."""
    from holter.formats import import_source

    num_faults = 0

    def on_fault(fault: Fault) -> None:
        nonlocal num_faults
        num_faults += 1
        if num_faults <= MAX_REPORTED:
            report["problems"].append({"path": str(fault.path), "location": fault.location, "reason": fault.reason})
            echo_error(str(fault))

    try:
        with byte_bar(plan.name, plan.source.num_bytes) as progress:
            imported = import_source(
                plan.source, plan.directory, name=plan.name, on_fault=on_fault, on_progress=progress
            )
    except (OSError, ValueError, RuntimeError, holter.HolterError) as error:
        report["problems"].append({"path": str(plan.source.paths[0]), "location": None, "reason": error_text(error)})
        echo_error(f"Error: {plan.source.paths[0]} was not imported: {error_text(error)}")
        return
    if num_faults > MAX_REPORTED:
        echo_error(f"… and {count_text(num_faults - MAX_REPORTED)} more that cannot be read")
    if imported.path is None:
        report["problems"].append(
            {"path": str(plan.source.paths[0]), "location": None, "reason": "it contains no points"}
        )
        echo_error(f"Error: {plan.source.paths[0]} contains no points; no run was created")
        return
    report["runs"].append(_imported_json(plan, imported))
    if not as_json:
        echo(visible(_done(imported)))


def _imported_json(plan: Plan, imported: Imported) -> dict[str, Any]:
    return {
        "path": str(imported.path),
        "name": plan.name,
        "format": plan.source.kind,
        "num_points": imported.num_points,
        "num_series": imported.num_series,
        "num_replaced": imported.num_replaced,
        "num_unreadable": imported.num_faults,
        "skipped": dict(imported.skipped),
    }


def _done(imported: Imported) -> str:
    notes = [f"skipped {kind}: {count_text(count)}" for kind, count in sorted(imported.skipped.items())]
    if imported.num_replaced:
        notes.append(f"replaced by a later value of the same step: {count_text(imported.num_replaced)}")
    series = counted(imported.num_series, "series", "series")
    done = f"{imported.path}: {counted(imported.num_points, 'point')} in {series}"
    return f"{done} ({', '.join(notes)})" if notes else done
