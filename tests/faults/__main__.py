"""`python -m tests.faults`: run the fault suite.

Exits with 1 if anything was lost, invented or hung, or otherwise not as it must be.
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
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Run the fault suite.")
    parser.add_argument("--quick", action="store_true", help="some minutes instead of most of an hour")
    parser.add_argument("--list", action="store_true", help="list the cases and do nothing")
    parser.add_argument("--only", action="append", metavar="CASE", help="a case, or a group such as kill; repeatable")
    parser.add_argument("--seed", default="", help="as printed; SEED:TRY makes that one try alone")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many tries at once")
    parser.add_argument("--folder", type=Path, help="where the runs are written; a new temporary one by default")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, too")
    parser.add_argument("--write", action="store_true", help="put the table into docs/faults.md")
    parsed = parser.parse_args(arguments)
    seed, _, only_try = parsed.seed.partition(":")
    parsed.seed = int(seed) if seed else random.SystemRandom().getrandbits(31)
    parsed.only_try = int(only_try) if only_try else None
    return parsed


def main() -> int:
    """Run what the command line asks for."""
    options = parse()
    chosen = [case for case in all_cases() if _is_chosen(case, options.only)]
    if not chosen:
        print(f"no case is called {options.only}; --list shows them", file=sys.stderr)
        return 2
    if options.list:
        for case in chosen:
            print(f"{case.name:32} {case.tries[Setting.FULL]:6} {case.what}")
        return 0
    setting = Setting.QUICK if options.quick else Setting.FULL
    folder = options.folder or Path(tempfile.mkdtemp(prefix="holter-faults-"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"seed {options.seed}, setting {setting.value}, {options.jobs} tries at once, in {folder}", flush=True)
    began = time.monotonic()
    runner = Runner(folder, setting, options.seed, options.jobs)
    try:
        tallies = [_run(runner, case, options.only_try) for case in chosen]
    finally:
        runner.close()
    about = {
        "date": table.today(),
        "setting": setting.value,
        "seed": options.seed,
        "jobs": options.jobs,
        "minutes": (time.monotonic() - began) / 60,
        "machine": table.machine(folder),
    }
    results = table.as_json(tallies, about)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1), "utf-8")
    text = table.as_markdown(results)
    print(f"\n{text}")
    if options.write:
        table.write(text)
    is_well = not any(tally.failures for tally in tallies)
    if is_well and not options.folder:
        folder.rmdir()
    return 0 if is_well else 1


def _is_chosen(case: Case, only: list[str] | None) -> bool:
    return not only or any(case.name == name or case.name.startswith(f"{name}/") for name in only)


def _run(runner: Runner, case: Case, only_try: int | None) -> Tally:
    shown = time.monotonic()

    def progress(tally: Tally) -> None:
        nonlocal shown
        if time.monotonic() - shown > 60:
            shown = time.monotonic()
            print(f"    {case.name}: {tally.tries} tries so far", flush=True)

    tally = runner.run(case, only_try, progress)
    total = tally.total
    if tally.skipped is not None:
        print(f"{case.name:32} skipped: {tally.skipped}", flush=True)
        return tally
    print(
        f"{case.name:32} {total.faults:6} tried, {tally.survived} survived, {total.checked} points: {total.lost} lost, "
        f"{total.invented} invented, {total.hangs} hangs; {tally.secs:.0f} s {table.remark(tally)}",
        flush=True,
    )
    for failure in tally.failures:
        print(f"  FAILED: --only {case.name} --seed {runner.seed}:{failure.index}, kept in {failure.folder}")
        print("    " + failure.message.strip().replace("\n", "\n    "), flush=True)
    return tally


if __name__ == "__main__":
    sys.exit(main())
