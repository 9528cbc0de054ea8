"""The suite's results as a table between two markers in docs/faults.md."""

import datetime as dt
import os
import platform
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.faults import ROOT
from tests.faults.runner import Tally

PAGE = ROOT / "docs" / "faults.md"
BEGIN, END = "<!-- results of make faults: begin -->", "<!-- results of make faults: end -->"

NUMBERS = ("injected", "survived", "checked", "lost", "invented", "hangs")
HEADS = ("fault", "injected", "survived", "points checked", "lost", "invented", "hangs", "remark")


def machine(folder: Path) -> dict[str, str]:
    """Describe the machine and the relevant versions."""
    from tests.faults.reading import versions

    cpuinfo = Path("/proc/cpuinfo").read_text("utf-8")
    model = next((line.split(":")[1] for line in cpuinfo.splitlines() if line.startswith("model name")), "")
    mounts = [line.split() for line in Path("/proc/mounts").read_text("utf-8").splitlines()]
    above = [mount for mount in mounts if folder.resolve().is_relative_to(mount[1])]
    return {
        "cpu": f"{os.cpu_count()} cores, {' '.join(model.split()) or platform.machine()}",
        "file system": max(above, key=lambda mount: len(mount[1]))[2] if above else "unknown",
        "kernel": platform.release().split("-")[0],
        "python": platform.python_version(),
        "sqlite for reading": sqlite3.sqlite_version,
        **versions(),
    }


def as_json(tallies: Sequence[Tally], conditions: dict[str, Any]) -> dict[str, Any]:
    """Return the results for programs, with more detail than the table."""
    rows = [
        {
            "case": tally.case.name,
            "what": tally.case.what,
            "seed": tally.seed,
            "trials": tally.trials,
            "injected": tally.total.faults,
            "survived": tally.survived,
            "checked": tally.total.checked,
            "lost": tally.total.lost,
            "invented": tally.total.invented,
            "hangs": tally.total.hangs,
            "remark": remark(tally),
            "skipped": tally.skipped,
            "secs": round(tally.secs, 1),
            "failures": [
                {"trial": failure.index, "folder": str(failure.folder), "message": failure.message}
                for failure in tally.failures
            ],
        }
        for tally in tallies
    ]
    return {**conditions, "cases": rows}


def remark(tally: Tally) -> str:
    """Return the remark on a case."""
    if tally.skipped is not None:
        return f"skipped: {tally.skipped}"
    return tally.case.remark(tally.total.measured) if tally.total.measured else ""


def as_markdown(results: dict[str, Any]) -> str:
    """Format the result of `as_json` as a table, with date, duration and machine above it."""
    machine = "; ".join(f"{key} {value}" for key, value in results["machine"].items())
    rows = _rows(results["cases"])
    ran = [row for row in rows if row["skipped"] is None]
    sums = " | ".join(f"**{sum(row[name] for row in ran):,}**" for name in NUMBERS)
    lines = [
        f"{results['date']}, setting *{results['setting']}*, seed {results['seed']}: {results['minutes']:.0f} minutes, "
        f"{results['jobs']} trials in parallel. {machine}.",
        "",
        f"| {' | '.join(HEADS)} |",
        f"|---|{'---:|' * len(NUMBERS)}---|",
        *(f"| {row['what']} | {_numbers(row)} | {row['remark']} |" for row in rows),
        f"| **all** | {sums} | |",
    ]
    return "\n".join(lines)


def write(text: str, page: Path = PAGE) -> None:
    """Replace the table between the markers of the page.

    Raises:
        LookupError: If the page lacks the markers.
    """
    before, found, rest = page.read_text("utf-8").partition(BEGIN)
    _, found_end, after = rest.partition(END)
    if not (found and found_end):
        raise LookupError(f"{page} lacks the markers {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", "utf-8")


def today() -> str:
    return dt.datetime.now(tz=dt.timezone.utc).date().isoformat()


def _rows(cases: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one row per kind of fault: the stages of a run are summed."""
    rows: dict[str, dict[str, Any]] = {}
    for case in cases:
        if case["what"] in rows and case["skipped"] is None:
            row = rows[case["what"]]
            row.update({name: row[name] + case[name] for name in NUMBERS})
        else:
            rows.setdefault(case["what"], dict(case))
    return list(rows.values())


def _numbers(row: dict[str, Any]) -> str:
    return " | ".join("–" if row["skipped"] is not None else f"{row[name]:,}" for name in NUMBERS)
