"""Runs benches in fresh processes and updates the result tables.

    python benches/run.py [--repeat 3] [name …] [-- arguments for the bench]

Without names it runs all but the long ones, `dashboard` and `soak`. Each bench runs `--repeat` times.
`results.json` stores the median of each row over those processes, and its range; the tables in
`benches/README.md` and in the project's README are generated from it, between their markers.
"""

import argparse
import datetime as dt
import json
import os
import pathlib
import statistics
import subprocess
import sys
from typing import Any

import tables

HERE = pathlib.Path(__file__).parent
RESULTS = HERE / "results.json"
BENCHES = ("calls", "throughput", "size", "queries", "rollups", "imports", "probes")
LONG = ("dashboard", "soak")

Rows = dict[str, dict[str, Any]]


def measure(name: str, repeat: int, options: list[str]) -> Rows:
    """Run one bench; return its rows by key, each with its value from every process."""
    rows: Rows = {}
    for turn in range(repeat):
        print(f"{name}, {turn + 1} of {repeat}", file=sys.stderr, flush=True)
        command = [sys.executable, HERE / f"{name}.py", *options]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        for line in done.stdout.splitlines():
            row = json.loads(line)
            rows.setdefault(row["key"], {**row, "values": []})["values"].append(row["value"])
    for row in rows.values():
        if len(row["values"]) > 1:
            found = row["values"]
            row |= {"value": statistics.median(found), "low": min(found), "high": max(found)}
    return rows


def main() -> None:
    """Run the benches, store the results, write the tables."""
    parser = argparse.ArgumentParser(description="Measure Holter.")
    parser.add_argument("names", nargs="*", choices=[*BENCHES, *LONG, []], help="which benches")
    parser.add_argument("--repeat", type=int, default=3, help="number of processes per bench (default: %(default)s)")
    parser.add_argument("--tables-only", action="store_true", help="only regenerate the tables from results.json")
    given = sys.argv[1:]
    end = given.index("--") if "--" in given else len(given)
    arguments, options = parser.parse_args(given[:end]), given[end + 1 :]
    results = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    for name in () if arguments.tables_only else arguments.names or BENCHES:
        from support import machine  # needs holter, which the tables do not

        load = os.getloadavg()[0]
        rows = measure(name, arguments.repeat, options)
        results[name] = {
            "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
            "processes": arguments.repeat,
            "machine": machine(),
            "load before": round(load, 1),
            "rows": list(rows.values()),
        }
        RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", "utf-8")
        print(tables.full({name: results[name]}))
    tables.write(results, HERE / "README.md", HERE.parent / "README.md")


if __name__ == "__main__":
    main()
