"""`python -m tests.faults`: run the fault suite.

Exits with 1 if a point was lost or invented, a process hung, or another check failed.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.faults import table
from tests.faults.case import Case, Setting
from tests.faults.cases import all_cases
from tests.faults.runner import Runner, Tally


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Run the fault suite.")
    parser.add_argument("--quick", action="store_true", help="take minutes instead of most of an hour")
    parser.add_argument("--list", action="store_true", help="list the cases and exit")
    parser.add_argument("--only", action="append", metavar="CASE", help="a case or a group such as kill; repeatable")
    parser.add_argument("--seed", default="", help="the seed of an earlier run; SEED:TRIAL runs only that trial")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="number of parallel trials")
    parser.add_argument("--folder", type=Path, help="folder for the runs (default: a new temporary folder)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results to FILE")
    parser.add_argument("--write", action="store_true", help="write the table into docs/faults.md")
    parsed = parser.parse_args(arguments)
    seed, _, only_trial = parsed.seed.partition(":")
    parsed.seed = int(seed) if seed else random.SystemRandom().getrandbits(31)
    parsed.only_trial = int(only_trial) if only_trial else None
    return parsed


def main() -> int:
    """Run the chosen cases and print the table."""
    options = parse()
    chosen = [case for case in all_cases() if _is_chosen(case, options.only)]
    if not chosen:
        print(f"no case matches {options.only}; --list shows all cases", file=sys.stderr)
        return 2
    if options.list:
        for case in chosen:
            print(f"{case.name:32} {case.trials[Setting.FULL]:6} {case.what}")
        return 0
    setting = Setting.QUICK if options.quick else Setting.FULL
    folder = options.folder or Path(tempfile.mkdtemp(prefix="holter-faults-"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"seed {options.seed}, setting {setting.value}, {options.jobs} trials in parallel, in {folder}", flush=True)
    began = time.monotonic()
    runner = Runner(folder, setting, options.seed, options.jobs)
    try:
        tallies = [_run(runner, case, options.only_trial) for case in chosen]
    finally:
        runner.close()
    conditions = {
        "date": table.today(),
        "setting": setting.value,
        "seed": options.seed,
        "jobs": options.jobs,
        "minutes": (time.monotonic() - began) / 60,
        "machine": table.machine(folder),
    }
    results = table.as_json(tallies, conditions)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1), "utf-8")
    text = table.as_markdown(results)
    print(f"\n{text}")
    if options.write:
        table.write(text)
    has_failed = any(tally.failures for tally in tallies)
    if not has_failed and not options.folder:
        folder.rmdir()
    return int(has_failed)


def _is_chosen(case: Case, only: list[str] | None) -> bool:
    return not only or any(case.name == name or case.name.startswith(f"{name}/") for name in only)


def _run(runner: Runner, case: Case, only_trial: int | None) -> Tally:
    shown = time.monotonic()

    def progress(tally: Tally) -> None:
        nonlocal shown
        if time.monotonic() - shown > 60:
            shown = time.monotonic()
            print(f"    {case.name}: {tally.trials} trials so far", flush=True)

    tally = runner.run(case, only_trial, progress)
    total = tally.total
    if tally.skipped is not None:
        print(f"{case.name:32} skipped: {tally.skipped}", flush=True)
        return tally
    print(
        f"{case.name:32} {total.faults:6} injected, {tally.survived} survived, {total.checked} points: "
        f"{total.lost} lost, {total.invented} invented, {total.hangs} hangs; {tally.secs:.0f} s {table.remark(tally)}",
        flush=True,
    )
    for failure in tally.failures:
        print(f"  FAILED: --only {case.name} --seed {runner.seed}:{failure.index}, kept in {failure.folder}")
        print("    " + failure.message.strip().replace("\n", "\n    "), flush=True)
    return tally


if __name__ == "__main__":
    sys.exit(main())
