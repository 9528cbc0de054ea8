"""The suite's results as a table, between two marks of docs/faults.md."""

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

HEADS = ("fault", "tried", "survived", "points looked for", "lost", "invented", "hangs", "remark")


def machine(folder: Path) -> dict[str, str]:
    """The machine and the versions that matter here, in words."""
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
        "sqlite that reads": sqlite3.sqlite_version,
        **versions(),
    }


def as_json(tallies: Sequence[Tally], about: dict[str, Any]) -> dict[str, Any]:
    """All that the table has and more, for programs."""
    rows = [
        {
            "case": tally.case.name,
            "what": tally.case.what,
            "seed": tally.seed,
            "tries": tally.tries,
            "tried": tally.total.faults,
            "survived": tally.survived,
            "checked": tally.total.checked,
            "lost": tally.total.lost,
            "invented": tally.total.invented,
            "hangs": tally.total.hangs,
            "remark": remark(tally),
            "skipped": tally.skipped,
            "secs": round(tally.secs, 1),
            "failures": [
                {"try": failure.index, "folder": str(failure.folder), "message": failure.message}
                for failure in tally.failures
            ],
        }
        for tally in tallies
    ]
    return {**about, "cases": rows}


def remark(tally: Tally) -> str:
    """What else there is to say of a case."""
    if tally.skipped is not None:
        return f"not made here: {tally.skipped}"
    return tally.case.remark(tally.total.measured) if tally.total.measured else ""


def as_markdown(tallies: Sequence[Tally], about: dict[str, Any]) -> str:
    """The table, with when, where and how long above it."""
    lines = [
        f"{about['date']}, setting *{about['setting']}*, seed {about['seed']}: {about['minutes']:.0f} minutes, "
        f"{about['jobs']} tries at once. {'; '.join(f'{key} {value}' for key, value in about['machine'].items())}.",
        "",
        f"| {' | '.join(HEADS)} |",
        "|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    lines += [_row(tally.case.what, tally, remark(tally)) for tally in tallies]
    made = [tally for tally in tallies if tally.skipped is None]
    sums = [
        sum(tally.total.faults for tally in made),
        sum(tally.survived for tally in made),
        sum(tally.total.checked for tally in made),
        *(sum(getattr(tally.total, name) for tally in made) for name in ("lost", "invented", "hangs")),
    ]
    lines.append(f"| **all** | {' | '.join(f'**{number:,}**' for number in sums)} | |")
    return "\n".join(lines)


def write(text: str, page: Path = PAGE) -> None:
    """Put the table between the marks of the page."""
    before, found, rest = page.read_text("utf-8").partition(BEGIN)
    _, found_end, after = rest.partition(END)
    if not (found and found_end):
        raise LookupError(f"{page} lacks the marks {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", "utf-8")


def today() -> str:
    return dt.datetime.now(tz=dt.timezone.utc).date().isoformat()


def _row(what: str, tally: Tally, text: str) -> str:
    if tally.skipped is not None:
        return f"| {what} | – | – | – | – | – | – | {text} |"
    total = tally.total
    numbers = (total.faults, tally.survived, total.checked, total.lost, total.invented, total.hangs)
    return f"| {what} | {' | '.join(f'{number:,}' for number in numbers)} | {text} |"
