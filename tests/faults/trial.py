"""One trial of a case: its folder, its random numbers, its processes, and the checks of its run."""

import atexit
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import recording_child
import run_files
from expected_points import Expectation
from recording_child import Page, Workload
from run_files import Points, same
from tests.faults import ROOT
from tests.faults.case import Hang, Outcome
from tests.faults.reading import Reader, Rejected

DEADLINE_SECS = 60.0
"""The deadline of a wait for a process; dozens of times longer than on an idle machine."""

READER = Reader()
atexit.register(READER.close)


class Process:
    """A child process whose waits have a deadline."""

    def __init__(self, arguments: Sequence[str], **options: Any) -> None:
        self.popen = subprocess.Popen(arguments, **options)

    @property
    def pid(self) -> int:
        return self.popen.pid

    def has_exited(self) -> bool:
        return self.popen.poll() is not None

    def wait(self, secs: float = DEADLINE_SECS) -> int:
        """Wait for the process and return its exit code."""
        try:
            return self.popen.wait(secs)
        except subprocess.TimeoutExpired:
            raise Hang(f"the process has not exited within {secs:.0f} s") from None

    def output(self, secs: float = DEADLINE_SECS) -> tuple[int, str, str]:
        """Wait for the process; return its exit code, standard output and standard error."""
        try:
            out, err = self.popen.communicate(timeout=secs)
        except subprocess.TimeoutExpired:
            raise Hang(f"the process has not exited within {secs:.0f} s") from None
        return self.popen.returncode, (out or b"").decode(), (err or b"").decode()

    def kill(self, number: int = signal.SIGKILL) -> bool:
        """Send a deadly signal. Return False if the process had already exited."""
        self.popen.send_signal(number)
        code = self.wait()
        assert code in (0, -number), f"the process exited with {code}"
        return code != 0

    def discard(self) -> None:
        """Kill the process in any state, and close the pipes."""
        if not self.has_exited():
            self.popen.send_signal(signal.SIGCONT)
            self.popen.kill()
        self.popen.wait()
        for pipe in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            if pipe is not None:
                pipe.close()


class Trial:
    """The means by which a case injects its fault."""

    def __init__(self, folder: Path, seed: str, parameter: Any = None) -> None:
        self.folder = folder
        self.random = random.Random(seed)
        self.parameter = parameter
        self.outcome = Outcome()
        self.page_path = folder / "page"
        self.page = Page(self.page_path)
        self._processes: list[Process] = []

    def spawn(self, arguments: Sequence[object], *, env: Mapping[str, str] | None = None, **options: Any) -> Process:
        """Start a program with this Python. `stderr` may be the path of a file to append to."""
        options["env"] = {**os.environ, **(env or {})}
        command = [sys.executable, *map(str, arguments)]
        with ExitStack() as stack:
            if isinstance(stderr := options.get("stderr"), Path):
                options["stderr"] = stack.enter_context(stderr.open("ab"))
            process = Process(command, cwd=ROOT, **options)
        self._processes.append(process)
        return process

    def record(self, run: Path, workload: Workload, **options: Any) -> Process:
        """Start a recorder with an empty page."""
        self.page.clear()
        return self.spawn([recording_child.__file__, run, self.page_path, workload.dump()], **options)

    def await_phase(
        self, process: Process, phase: int, on_poll: Callable[[], object] = lambda: None, secs: float = DEADLINE_SECS
    ) -> None:
        """Wait until a recorder reaches a phase, calling `on_poll` repeatedly."""
        deadline = time.monotonic() + secs
        while self.page.phase < phase:
            assert process.popen.poll() in (None, 0), f"the recorder exited with {process.popen.returncode}"
            if time.monotonic() > deadline:
                raise Hang(f"the recorder has not reached phase {phase} within {secs:.0f} s")
            on_poll()
            time.sleep(0.0002)

    def pause(self, max_secs: float) -> None:
        """Sleep for a random time, so that the fault hits a random moment. No check depends on it."""
        time.sleep(self.random.uniform(0, max_secs))

    def check(self, found: Points, expectation: Expectation, where: str) -> None:
        """Compare the points that were found with the expected points."""
        difference = expectation.compare(found)
        self.outcome.lost += len(difference.lost)
        self.outcome.invented += len(difference.invented)
        assert not difference, f"{where}: {difference}"

    def check_as_is(self, run: Path, expectation: Expectation) -> None:
        """Check the points that `open_run` reads from a run in its current state."""
        self.check(READER.points(run), expectation, "read by open_run")

    def check_recovered(self, run: Path, workload: Workload, expectation: Expectation) -> None:
        """Check that a recovered or closed run is complete and its files agree."""
        assert not (run / "journal.holter").exists(), "the journal still exists"
        assert not list(run.glob("**/*.tmp")), "temporary files are left"
        assert run_files.manifest(run)["status"] in ("crashed", "finished", "interrupted")
        if "sqlite" in workload.sinks:
            run_files.assert_database_is_intact(run)
            found = run_files.sqlite_points(run)
            self.check(found, expectation, "in the database")
            expectation.replace(found)
            if "parquet" in workload.sinks:
                self.check(run_files.parquet_points(run), expectation, "in the parts")
        else:
            found = run_files.parquet_points(run)
            self.check(found, expectation, "in the parts")
            expectation.replace(found)
        self.check_as_is(run, expectation)
        if "summary" in workload.sinks:
            self._check_summary(run, workload, found)

    def check_after_crash(self, run: Path, workload: Workload, expectation: Expectation) -> None:
        """Check a run after a crash of its recorder, as it is and after a recovery."""
        if not (run / "run.json").exists():
            assert not expectation.acknowledged, "a run with logged points has no manifest"
            return
        try:
            self.check_as_is(run, expectation)
        except Rejected as error:
            # Until SQLite has created its write-ahead log, only a writer can roll back an incomplete transaction.
            assert not expectation.acknowledged, error
            assert "recover the run" in error.message, error
        self.recover(run)
        self.check_recovered(run, workload, expectation)

    def recover(self, run: Path) -> None:
        """Recover the run."""
        READER.recover(run)

    def close(self) -> None:
        """Kill all processes that are still running."""
        for process in self._processes:
            process.discard()
        self.page.close()

    @staticmethod
    def _check_summary(run: Path, workload: Workload, found: Points) -> None:
        summed = run_files.summary_points(run)
        for key, value in found.items():
            if key[1] % workload.summary_every == 0:
                assert key in summed, f"{key} is missing in the summary"
                assert same(summed[key], value), (key, summed[key], value)
