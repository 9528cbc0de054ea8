"""Measures Holter and other recorders: `make peers`, or `python -m peers` with `benches` on the path.

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
from peers.bench import Bench
from peers.plan import QUICK, Limits
from peers.recorders import RECORDERS

BENCHES = pathlib.Path(__file__).parent.parent
RESULTS = BENCHES / "peers.json"


def arguments() -> argparse.Namespace:
    """Parse the command line.

    Raises:
        SystemExit: If it names an unknown recorder.
    """
    parser = argparse.ArgumentParser(prog="peers", description="Compare Holter with other recorders.")
    parser.add_argument("--only", help="recorders to measure, separated by commas: " + ", ".join(RECORDERS))
    parser.add_argument("--repetitions", type=int, help="how often each is measured")
    parser.add_argument("--points", type=int, help="points per store; the longest jobs log ten times as many")
    parser.add_argument("--quick", action="store_true", help="little work, for development")
    parser.add_argument("--wheel", type=pathlib.Path, help="Holter's wheel (default: the importable package)")
    parser.add_argument("--tables-only", action="store_true", help="only regenerate the tables from peers.json")
    found = parser.parse_args()
    found.only = found.only.split(",") if found.only else list(RECORDERS)
    if unknown := [name for name in found.only if name not in RECORDERS]:
        parser.error(f"unknown recorder {', '.join(unknown)}: expected some of {', '.join(RECORDERS)}")
    return found


def main() -> None:
    """Measure and write the tables. A quick run, or one of some recorders, is printed and not stored."""
    options = arguments()
    if options.tables_only:
        report.write(json.loads(RESULTS.read_text("utf-8")), BENCHES / "RESULTS.md", BENCHES.parent / "README.md")
        return
    changes = {key: getattr(options, key) for key in ("repetitions", "points") if getattr(options, key)}
    limits = dataclasses.replace(QUICK if options.quick else Limits(), **changes)
    is_stored = not options.quick and options.only == list(RECORDERS)
    began = time.monotonic()
    with scratch() as directory:
        bench = Bench(limits, directory, options.wheel)
        for name in options.only:
            bench.add(name)
        load_before = os.getloadavg()[0]
        for turn in range(limits.repetitions):
            bench.measure(turn)
            results = {
                "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
                "machine": machine(),
                "load before": round(load_before, 1),
                "minutes": round((time.monotonic() - began) / 60),
                "repetitions": turn + 1,
                "limits": dataclasses.asdict(limits),
                "versions": bench.versions,
                "missing": bench.missing,
                "figures": bench.figures,
            }
            if is_stored:  # after each repetition, so that an interruption loses one at most
                RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", "utf-8")
    if is_stored:
        report.write(results, BENCHES / "RESULTS.md", BENCHES.parent / "README.md")
    else:
        print(report.full(results))


main()
