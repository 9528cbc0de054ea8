"""Every `log` that returned survives SIGKILL, nothing is invented, and no file is ever unreadable.

Real processes are killed at random moments: while they open a run, log, flush, close and compact, or recover.
What they had logged stands in a page of memory shared with this process, written after each call that
returned. HOLTER_TEST_KILLS says how many are killed (60 unless set); the seed is in the output of a failure.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

import recording_child
import run_files
from recording_child import CLOSED, CLOSING, LOGGING, OPENING, SERIES, Orders, Page
from run_files import Points, same

KILLS = int(os.environ.get("HOLTER_TEST_KILLS", "60"))
DEADLINE_SECS = 60

BASE = Orders(attempt=0)
PARQUET_ONLY = ("parquet",)


@dataclass(frozen=True)
class Scenario:
    """What the killed process does, and when it is killed: so long after it began a phase, in seconds."""

    orders: Orders
    phase: int
    delay_secs: float
    kills_recovery: bool = False


SCENARIOS = {
    "logging": Scenario(replace(BASE, steps=3_000), LOGGING, 0.03),
    "logging in threads": Scenario(replace(BASE, steps=1_000, threads=4), LOGGING, 0.05),
    "logging with flushes": Scenario(replace(BASE, steps=1_000, flush_every=20, pause_every=7), LOGGING, 0.1),
    "logging into a journal that never wraps": Scenario(replace(BASE, journal_points=1 << 16), LOGGING, 0.02),
    "logging into parquet alone": Scenario(
        replace(BASE, steps=3_000, sinks=PARQUET_ONLY, pause_every=50), LOGGING, 0.1
    ),
    "opening": Scenario(BASE, OPENING, 0.06),
    "closing": Scenario(replace(BASE, steps=500), CLOSING, 0.04),
    "closing parquet alone": Scenario(replace(BASE, steps=1_500, sinks=PARQUET_ONLY), CLOSING, 0.04),
    "recovering": Scenario(replace(BASE, steps=1_000, journal_points=1 << 14), LOGGING, 0.05, kills_recovery=True),
    "recovering parquet alone": Scenario(
        replace(BASE, steps=1_500, sinks=PARQUET_ONLY, journal_points=1 << 12), LOGGING, 0.05, kills_recovery=True
    ),
}


@dataclass
class Expectation:
    """For each point the values that it may have; None where it may also be absent."""

    values: dict[tuple[str, int], list[float | None]] = field(default_factory=dict)
    acknowledged: int = 0

    def add(self, orders: Orders, page: Page) -> None:
        """Take in what a killed process had done."""
        for thread in range(orders.threads):
            count = page.acknowledged(thread)
            self.acknowledged += count
            for index, (name, step, value) in enumerate(orders.points(thread)):
                if index < count:
                    self.values[name, step] = [value]
                elif index < count + SERIES:  # The call under way may have come to any point of it.
                    self.values[name, step] = [*self.values.get((name, step), [None]), value]
                else:
                    break

    def settle(self, found: Points) -> None:
        """Hold `found` to what may be; from now on it must be that."""
        lost = [key for key, values in self.values.items() if key not in found and None not in values]
        assert not lost, f"{len(lost)} points are lost of {len(self.values)}, such as {lost[:5]}"
        for key, value in found.items():
            assert key in self.values, f"{key} was never logged"
            allowed = self.values[key]
            assert any(other is not None and same(value, other) for other in allowed), (key, value, allowed)
        self.values = {key: [value] for key, value in found.items()}


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    page = Page(tmp_path / "page")
    yield page
    page.close()


def start(run: Path, page_path: Path, orders: Orders) -> subprocess.Popen[bytes]:
    child = recording_child.__file__
    return subprocess.Popen([sys.executable, child, str(run), str(page_path), orders.dump()])


def await_phase(child: subprocess.Popen[bytes], page: Page, phase: int, run: Path, looks: random.Random) -> None:
    """Wait until the child has come to a phase, looking at its Parquet files now and then."""
    deadline = time.monotonic() + DEADLINE_SECS
    while page.phase < phase:
        assert child.poll() in (None, 0), f"the child ended with {child.returncode}"
        assert time.monotonic() < deadline, f"the child has not come to phase {phase}"
        if page.phase >= LOGGING and looks.random() < 0.02:
            run_files.assert_parts_are_readable(run)
        time.sleep(0.0002)


def kill(child: subprocess.Popen[bytes]) -> bool:
    """Kill the process; False if it had ended by itself."""
    child.kill()
    code = child.wait(DEADLINE_SECS)
    assert code in (0, -signal.SIGKILL), f"the child ended with {code}"
    return code != 0


def recover(run: Path, randomness: random.Random, *, kills: int) -> int:
    """Have other processes recover the run, and kill the first few of them. Returns how many were killed."""
    program = "import sys, holter._core as core; print('go', flush=True); core.recover(sys.argv[1])"
    killed = 0
    for left in range(kills, -1, -1):
        child = subprocess.Popen([sys.executable, "-c", program, str(run)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        with child.stdout:
            assert child.stdout.readline() == b"go\n"
            if left:
                time.sleep(randomness.uniform(0, 0.03))
                killed += kill(child)
                run_files.assert_parts_are_readable(run)
            else:
                assert child.wait(DEADLINE_SECS) == 0
    return killed


def assert_in_order(run: Path, orders: Orders, expectation: Expectation) -> None:
    """A recovered run is complete, and its files tell the same."""
    assert not (run / "journal.holter").exists()
    assert not list(run.glob("**/*.tmp"))
    assert run_files.manifest(run)["status"] in ("crashed", "finished")
    if "sqlite" in orders.sinks:
        run_files.assert_database_is_intact(run)
        found = run_files.sqlite_points(run)
        expectation.settle(found)
        run_files.assert_same_points(run_files.parquet_points(run), found)
    else:
        expectation.settle(run_files.parquet_points(run))
    if "summary" in orders.sinks and not os.environ.get("NOSUM"):
        summed = run_files.summary_points(run)
        for key, value in found.items():
            if key[1] % 10 == 0:
                assert key in summed, f"{key} is in no summary line"
                assert same(summed[key], value), (key, summed[key], value)


@pytest.mark.parametrize("name", SCENARIOS)
def test_nothing_is_lost_or_invented_when_the_process_is_killed(
    name: str, tmp_path: Path, page: Page, record_property
) -> None:
    """Catches a point that is only in memory, a torn or stale slot taken for a point, a commit that is not atomic
    with its cursor, a part that appears before it is complete, and a recovery that cannot be repeated."""
    scenario = SCENARIOS[name]
    seed = int(os.environ.get("HOLTER_TEST_SEED") or random.SystemRandom().getrandbits(32))
    print(f"HOLTER_TEST_SEED={seed}")
    randomness = random.Random(seed)
    page_path = tmp_path / "page"
    wanted = max(1, KILLS // len(SCENARIOS))
    killed, attempts, runs = 0, 0, 0
    total = 0
    while killed < wanted:
        run = tmp_path / f"run-{runs}"
        runs += 1
        expectation = Expectation()
        for attempt in range(randomness.randint(2, 6)):
            attempts += 1
            assert attempts < 10 * wanted + 20, "hardly any process could be killed in time"
            orders = replace(scenario.orders, attempt=attempt)
            page.clear()
            child = start(run, page_path, orders)
            await_phase(child, page, scenario.phase, run, randomness)
            time.sleep(randomness.uniform(0, scenario.delay_secs))
            killed += kill(child)
            expectation.add(orders, page)
            run_files.assert_parts_are_readable(run)
            if not (run / "run.json").exists():
                assert page.phase == OPENING
                continue
            # Somebody may look at the database before the recovery, and by looking change its files.
            if "sqlite" in orders.sinks and randomness.random() < 0.3 and (run / "metrics.sqlite").exists():
                connection = run_files.database(run)
                assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                connection.close()
            # Else the next attempt recovers.
            if scenario.kills_recovery:
                killed += recover(run, randomness, kills=randomness.randint(1, 3))
                assert_in_order(run, orders, expectation)
            elif randomness.random() < 0.3:
                recover(run, randomness, kills=0)
                assert_in_order(run, orders, expectation)
        if (run / "run.json").exists():
            recover(run, randomness, kills=0)
            recover(run, randomness, kills=0)
            assert_in_order(run, scenario.orders, expectation)
            total += expectation.acknowledged
    record_property("killed", killed)
    record_property("acknowledged", total)
    print(f"{name}: {killed} processes killed in {attempts} attempts at {runs} runs; {total} points were acknowledged")


def test_a_child_that_is_left_alone_ends_in_order(tmp_path: Path, page: Page) -> None:
    """Shows that the oracle of the test above is right where nothing is killed."""
    orders = replace(BASE, threads=2, flush_every=50)
    run = tmp_path / "run"
    assert start(run, tmp_path / "page", orders).wait(DEADLINE_SECS) == 0
    assert page.phase == CLOSED
    expectation = Expectation()
    expectation.add(orders, page)
    assert expectation.acknowledged == 2 * orders.steps * SERIES
    assert_in_order(run, orders, expectation)
    assert run_files.manifest(run)["status"] == "finished"
