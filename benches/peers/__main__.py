"""Measures the field: `make peers`, or `python -m peers` with `benches` on the path.

The figures go to `benches/peers.json`, and from there into `benches/RESULTS.md` and the project's README.
"""

import argparse
import dataclasses
import datetime as dt
import json
import os
import pathlib
import time

from support import machine, scratch

from peers import report
from peers.field import Field
from peers.plan import QUICK, Limits
from peers.recorders import RECORDERS

BENCHES = pathlib.Path(__file__).parent.parent
RESULTS = BENCHES / "peers.json"


def arguments() -> argparse.Namespace:
    """What the command line says.

    Raises:
        SystemExit: If it names a recorder that there is not.
    """
    parser = argparse.ArgumentParser(prog="peers", description="Measure Holter beside other recorders.")
    parser.add_argument("--only", help="these recorders, separated by commas: " + ", ".join(RECORDERS))
    parser.add_argument("--repetitions", type=int, help="how often each is measured")
    parser.add_argument("--points", type=int, help="the points of a store, and a tenth of the most that are logged")
    parser.add_argument("--quick", action="store_true", help="little work, for developing")
    parser.add_argument("--wheel", type=pathlib.Path, help="Holter's wheel; without it, what this interpreter imports")
    parser.add_argument("--tables-only", action="store_true", help="make the tables again from peers.json")
    found = parser.parse_args()
    found.only = found.only.split(",") if found.only else list(RECORDERS)
    if unknown := [name for name in found.only if name not in RECORDERS]:
        parser.error(f"there is no recorder {', '.join(unknown)}: expected some of {', '.join(RECORDERS)}")
    return found


def main() -> None:
    """Measure, keep, show. A run that is quick, or not of all recorders, is shown and not kept."""
    asked = arguments()
    if asked.tables_only:
        report.write(json.loads(RESULTS.read_text("utf-8")), BENCHES / "RESULTS.md", BENCHES.parent / "README.md")
        return
    changes = {key: getattr(asked, key) for key in ("repetitions", "points") if getattr(asked, key)}
    limits = dataclasses.replace(QUICK if asked.quick else Limits(), **changes)
    is_kept = not asked.quick and asked.only == list(RECORDERS)
    began = time.monotonic()
    with scratch() as directory:
        field = Field(limits, directory, asked.wheel)
        for name in asked.only:
            field.add(name)
        load_before = os.getloadavg()[0]
        for turn in range(limits.repetitions):
            field.measure(turn)
            results = {
                "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
                "machine": machine(),
                "load before": round(load_before, 1),
                "minutes": round((time.monotonic() - began) / 60),
                "repetitions": turn + 1,
                "limits": dataclasses.asdict(limits),
                "versions": field.versions,
                "missing": field.missing,
                "figures": field.figures,
            }
            if is_kept:  # each time: what was measured outlives a machine that does not last to the end
                RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", "utf-8")
    if is_kept:
        report.write(results, BENCHES / "RESULTS.md", BENCHES.parent / "README.md")
    else:
        print(report.full(results))


main()
