"""`holter import`: other recorders' files as runs, with what cannot be read told line by line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

import holter
from holter.cli.output import echo, echo_error, echo_json
from holter.cli.problems import FAILED, Problem, failure
from holter.cli.progress import byte_bar
from holter.cli.runs import FOLDER, default_folder
from holter.cli.text import count_text, visible

if TYPE_CHECKING:
    from holter.formats import Fault, Imported, Source

__all__ = ["import_"]

KINDS = ("auto", "tfevents", "jsonl", "csv", "neptune")
MAX_TOLD = 100
"""So much that cannot be read of one run is told line by line; of the rest the number."""


@click.command(name="import")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path))
@click.option("--into", "folder", type=FOLDER, metavar="RUNS", help="The folder for the runs; ./runs if not given.")
@click.option("--name", help="What to call the run, where the PATHs hold a single one.")
@click.option("--format", "kind", type=click.Choice(KINDS), default="auto", help="The format; told by the files.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def import_(paths: tuple[Path, ...], folder: Path | None, name: str | None, kind: str, *, as_json: bool) -> None:
    """Make runs of what other recorders wrote: event files, JSON lines, CSV, and Neptune's exported Parquet.

    A PATH is a file or a directory. Of a directory all runs are taken that event files, metrics.jsonl, metrics.csv or
    neptune-exporter's Parquet hold; with --format, every file of this format. Each becomes a run of its own in RUNS,
    named as it is called there. A run that is there already is never written into.

    JSON lines are flat objects with a step (step, _step, global_step, iteration or epoch). CSV has a column for the
    step and one for each metric, or the columns name, step, value. What is no number is left out and counted. What
    cannot be read is told with its file and line, and the rest is imported; the exit status is 1 then. The times of
    the points are those of the import.

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
    """A source, and the run that it is to become."""

    source: Source
    name: str
    directory: Path


def _plans(paths: tuple[Path, ...], folder: Path, name: str | None, kind: str | None) -> list[Plan]:
    """What is to be imported to where, before anything is.

    Raises:
        Problem: There is nothing to import, or no place for it.
    """
    from holter.formats import directory_name

    sources = [source for path in dict.fromkeys(paths) for source in _sources(path, kind)]
    if name is not None and len(sources) > 1:
        names = ", ".join(source.name for source in sources[:6])
        raise Problem(
            f"--name is for one run, and there are {len(sources)}: {names}", "leave it out, or name fewer PATHs"
        )
    plans: dict[Path, Plan] = {}
    for source in sources:
        plan = Plan(source, name or source.name, folder / directory_name(name or source.name))
        if other := plans.get(plan.directory):
            raise Problem(
                f"two runs would be {plan.directory}: {other.source.paths[0]} and {source.paths[0]}",
                "import them one by one, with --name, or choose one by --format",
            )
        if plan.directory.exists():
            raise Problem(f"{plan.directory} is there already", "give another --name, or another folder by --into")
        plans[plan.directory] = plan
    return list(plans.values())


def _sources(path: Path, kind: str | None) -> list[Source]:
    from holter.formats import find_sources

    try:
        sources = find_sources(path, kind)
    except FileNotFoundError as error:
        raise Problem(failure(error)) from None
    except ImportError:
        raise Problem(
            "Neptune's Parquet is read by pyarrow, which is not installed", "pip install 'holter[arrow]'"
        ) from None
    except ValueError as error:
        way_out = "add --format tfevents|jsonl|csv|neptune" if "in which format" in str(error) else ""
        raise Problem(str(error), way_out) from None
    if not sources:
        what = f"file of the format {kind}" if kind else "event file, metrics.jsonl, metrics.csv or Neptune's Parquet"
        raise Problem(f"{path} holds no {what}", "name the file itself, or say what it holds by --format")
    return sources


def _import_one(plan: Plan, report: dict[str, Any], *, as_json: bool) -> None:
    """Import one run, tell of it, and note it in the report."""
    from holter.formats import import_source

    told: list[Fault] = []

    def tell(fault: Fault) -> None:
        told.append(fault)
        if len(told) <= MAX_TOLD:
            report["problems"].append({"path": str(fault.path), "place": fault.place, "reason": fault.reason})
            echo_error(str(fault))

    try:
        with byte_bar(plan.name, plan.source.num_bytes) as progress:
            imported = import_source(plan.source, plan.directory, name=plan.name, on_fault=tell, progress=progress)
    except (OSError, ValueError, RuntimeError, holter.HolterError) as error:
        report["problems"].append({"path": str(plan.source.paths[0]), "place": None, "reason": failure(error)})
        echo_error(f"Error: {plan.source.paths[0]} was not imported: {failure(error)}")
        return
    if len(told) > MAX_TOLD:
        echo_error(f"… and {count_text(len(told) - MAX_TOLD)} more that cannot be read")
    if imported.path is None:
        report["problems"].append({"path": str(plan.source.paths[0]), "place": None, "reason": "it holds no points"})
        echo_error(f"Error: {plan.source.paths[0]} holds no points, so no run was made")
        return
    report["runs"].append(_facts(plan, imported))
    if not as_json:
        echo(visible(_done(imported)))


def _facts(plan: Plan, imported: Imported) -> dict[str, Any]:
    return {
        "path": str(imported.path),
        "name": plan.name,
        "format": plan.source.kind,
        "num_points": imported.num_points,
        "num_series": imported.num_series,
        "num_replaced": imported.num_replaced,
        "num_unreadable": imported.num_faults,
        "left_out": dict(imported.left_out),
    }


def _done(imported: Imported) -> str:
    notes = [f"{count_text(count)} {what} left out" for what, count in sorted(imported.left_out.items())]
    if imported.num_replaced:
        notes.append(f"{count_text(imported.num_replaced)} replaced by a later one of the same step")
    told = f"{imported.path}: {count_text(imported.num_points)} points of {count_text(imported.num_series)} series"
    return f"{told} ({', '.join(notes)})" if notes else told
