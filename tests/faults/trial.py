"""One try of a case: its folder, its random numbers, its processes, and how what it left is judged."""

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
from recording_child import Orders, Page
from run_files import Points, same
from tests.faults import ROOT
from tests.faults.case import Hang, Outcome
from tests.faults.reading import Reader, Refused

DEADLINE_SECS = 60.0
"""What a process may take for what it is waited for; tens of times what it takes on an idle machine."""

READER = Reader()
atexit.register(READER.close)


class Process:
    """A process that is waited for with a deadline, and never left behind."""

    def __init__(self, arguments: Sequence[str], **options: Any) -> None:
        self.popen = subprocess.Popen(arguments, **options)

    @property
    def pid(self) -> int:
        return self.popen.pid

    def is_over(self) -> bool:
        return self.popen.poll() is not None

    def wait(self, secs: float = DEADLINE_SECS) -> int:
        """The exit code of the process, which must end in time."""
        try:
            return self.popen.wait(secs)
        except subprocess.TimeoutExpired:
            raise Hang(f"the process has not ended within {secs:.0f} s") from None

    def output(self, secs: float = DEADLINE_SECS) -> tuple[int, str, str]:
        """The exit code of the process, which must end in time, and what it wrote to its pipes."""
        try:
            out, err = self.popen.communicate(timeout=secs)
        except subprocess.TimeoutExpired:
            raise Hang(f"the process has not ended within {secs:.0f} s") from None
        return self.popen.returncode, (out or b"").decode(), (err or b"").decode()

    def kill(self, number: int = signal.SIGKILL) -> bool:
        """Send a deadly signal. False if the process had ended by itself before."""
        self.popen.send_signal(number)
        code = self.wait()
        assert code in (0, -number), f"the process ended with {code}"
        return code != 0

    def discard(self) -> None:
        """End the process however it is, and close the pipes."""
        if not self.is_over():
            self.popen.send_signal(signal.SIGCONT)
            self.popen.kill()
        self.popen.wait()
        for pipe in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            if pipe is not None:
                pipe.close()


class Try:
    """What a case has to make its fault with."""

    def __init__(self, folder: Path, seed: str, parameter: Any = None) -> None:
        self.folder = folder
        self.random = random.Random(seed)
        self.parameter = parameter
        self.outcome = Outcome()
        self.page_path = folder / "page"
        self.page = Page(self.page_path)
        self._processes: list[Process] = []

    def spawn(self, arguments: Sequence[object], *, env: Mapping[str, str] | None = None, **options: Any) -> Process:
        """Start a program with this Python. `stderr` may be the path of a file, which is appended to."""
        options["env"] = {**os.environ, **(env or {})}
        command = [sys.executable, *map(str, arguments)]
        with ExitStack() as stack:
            if isinstance(stderr := options.get("stderr"), Path):
                options["stderr"] = stack.enter_context(stderr.open("ab"))
            process = Process(command, cwd=ROOT, **options)
        self._processes.append(process)
        return process

    def record(self, run: Path, orders: Orders, **options: Any) -> Process:
        """Start a recorder, with an empty page."""
        self.page.clear()
        return self.spawn([recording_child.__file__, run, self.page_path, orders.dump()], **options)

    def await_phase(
        self, process: Process, phase: int, meanwhile: Callable[[], object] = lambda: None, secs: float = DEADLINE_SECS
    ) -> None:
        """Wait until a recorder has come to a phase, doing something `meanwhile` again and again."""
        deadline = time.monotonic() + secs
        while self.page.phase < phase:
            assert process.popen.poll() in (None, 0), f"the recorder ended with {process.popen.returncode}"
            if time.monotonic() > deadline:
                raise Hang(f"the recorder has not come to phase {phase} within {secs:.0f} s")
            meanwhile()
            time.sleep(0.0002)

    def pause(self, longest_secs: float) -> None:
        """Let time pass, so that the fault comes at any moment; this waits for nothing."""
        time.sleep(self.random.uniform(0, longest_secs))

    def judge(self, found: Points, expectation: Expectation, where: str) -> None:
        """Hold the points that were found to those that have to be there."""
        difference = expectation.compare(found)
        self.outcome.lost += len(difference.lost)
        self.outcome.invented += len(difference.invented)
        assert not difference, f"{where}: {difference}"

    def judge_as_it_is(self, run: Path, expectation: Expectation) -> None:
        """Hold a run to what must be there as `open_run` shows it, whatever state it is in."""
        self.judge(READER.points(run), expectation, "as open_run reads it")

    def judge_in_order(self, run: Path, orders: Orders, expectation: Expectation) -> None:
        """A run that was recovered or closed is complete, and its files all tell the same."""
        assert not (run / "journal.holter").exists(), "the journal is still there"
        assert not list(run.glob("**/*.tmp")), "there are unfinished files"
        assert run_files.manifest(run)["status"] in ("crashed", "finished")
        if "sqlite" in orders.sinks:
            run_files.assert_database_is_intact(run)
            found = run_files.sqlite_points(run)
            self.judge(found, expectation, "in the database")
            expectation.settle(found)
            if "parquet" in orders.sinks:
                self.judge(run_files.parquet_points(run), expectation, "in the parts")
        else:
            found = run_files.parquet_points(run)
            self.judge(found, expectation, "in the parts")
            expectation.settle(found)
        self.judge_as_it_is(run, expectation)
        if "summary" in orders.sinks:
            self._judge_summary(run, orders, found)

    def judge_after_a_crash(self, run: Path, orders: Orders, expectation: Expectation) -> None:
        """A run that its recorder left behind has all that must be there, and again when it is recovered."""
        if not (run / "run.json").exists():
            assert not expectation.acknowledged, "a run that was logged into has no manifest"
            return
        try:
            self.judge_as_it_is(run, expectation)
        except Refused as error:
            # While the database is created SQLite has no log yet, and what is half done only a writer can undo.
            assert not expectation.acknowledged, error
            assert "recover the run" in error.message, error
        self.recover(run)
        self.judge_in_order(run, orders, expectation)

    def recover(self, run: Path) -> None:
        """Have the run recovered, which must succeed."""
        READER.recover(run)

    def close(self) -> None:
        """End what is still running."""
        for process in self._processes:
            process.discard()
        self.page.close()

    @staticmethod
    def _judge_summary(run: Path, orders: Orders, found: Points) -> None:
        summed = run_files.summary_points(run)
        for key, value in found.items():
            if key[1] % orders.summary_every == 0:
                assert key in summed, f"{key} is in no summary line"
                assert same(summed[key], value), (key, summed[key], value)
