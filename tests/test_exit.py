"""When a program ends in any way, its run is closed and complete, or recoverable, and the program does not hang."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

import holter
import run_files

STEPS = 2_000
DEADLINE_SECS = 120

START = f"""
import os, signal, sys, threading, time
import holter
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored if the tests run in the background of a shell
logger = holter.Logger(sys.argv[1], journal_points=1 << 14)
for step in range({STEPS}):
    logger.log(step, "loss", step * 0.5)
print("logged", flush=True)
"""


def run_program(run: Path, end: str, *, send: signal.Signals | None = None) -> tuple[int, str]:
    """Run a program that logs and then executes `end`. Return its exit code and its standard error."""
    with subprocess.Popen(
        [sys.executable, "-c", START + end, str(run)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        try:
            assert child.stdout.readline() == "logged\n"
            if send is not None:
                child.send_signal(send)
            _, errors = child.communicate(timeout=DEADLINE_SECS)
        finally:
            child.kill()
    return child.returncode, errors


def assert_complete(run: Path, status: str) -> None:
    expected = {("loss", step): step * 0.5 for step in range(STEPS)}
    assert run_files.manifest(run)["status"] == status
    assert run_files.manifest(run)["finished"] is not None
    assert not (run / "journal.holter").exists()
    assert run_files.sqlite_points(run) == expected
    assert run_files.parquet_points(run) == expected
    assert len(run_files.summary_points(run)) == STEPS // 100


@pytest.mark.parametrize(
    ("end", "code", "status", "error"),
    [
        ("", 0, "finished", ""),
        ("logger.close()", 0, "finished", ""),
        ("del logger", 0, "finished", ""),
        ("sys.exit(0)", 0, "finished", ""),
        ("sys.exit()", 0, "finished", ""),
        ("1 / 0", 1, "failed", "ZeroDivisionError"),
        ("raise KeyboardInterrupt", -signal.SIGINT, "interrupted", "KeyboardInterrupt"),
        ("with logger: pass", 0, "finished", ""),
        ("with logger: 1 / 0", 1, "failed", "ZeroDivisionError"),
        ("with logger: sys.exit(0)", 0, "finished", ""),
        ("with logger: sys.exit(3)", 3, "failed", ""),
        ("def cycle(logger=logger): pass\ncycle.itself = cycle", 0, "finished", ""),
        ("threading.Thread(target=lambda: (time.sleep(0.2), logger.log(0, 'loss', 0.0))).start()", 0, "finished", ""),
        ("threading.Thread(target=threading.Event().wait, daemon=True).start()", 0, "finished", ""),
        (
            "import itertools\n"
            "def log():\n"
            f"    for _ in itertools.count(): logger.log({STEPS - 1}, 'loss', {STEPS - 1} * 0.5)\n"
            "threading.Thread(target=log, daemon=True).start()",
            0,
            "finished",
            None,
        ),
    ],
)
def test_a_program_that_ends_normally_or_raises_closes_its_run(
    run_dir: Path, end: str, code: int, status: str, error: str | None
) -> None:
    """The exit code and the messages are those of the program without Holter."""
    found, errors = run_program(run_dir, end)
    assert found == code, errors
    assert_complete(run_dir, status)
    if error:
        assert error in errors
    elif error is not None:
        assert errors == ""


def test_ctrl_c_closes_the_run(run_dir: Path) -> None:
    code, errors = run_program(run_dir, "time.sleep(60)", send=signal.SIGINT)
    assert code == -signal.SIGINT
    assert "KeyboardInterrupt" in errors
    assert_complete(run_dir, "interrupted")


def test_sigterm_closes_the_run_and_ends_the_program(run_dir: Path) -> None:
    """Cluster schedulers send SIGTERM before they preempt a job."""
    code, errors = run_program(run_dir, "time.sleep(60)", send=signal.SIGTERM)
    assert (code, errors) == (-signal.SIGTERM, "")
    assert_complete(run_dir, "interrupted")


def test_ctrl_c_interrupts_a_flush_that_waits_for_a_locked_database(run_dir: Path) -> None:
    program = """
import subprocess
lock = "import sqlite3, sys; other = sqlite3.connect(sys.argv[1], isolation_level=None); "
lock += "other.execute('BEGIN IMMEDIATE');"
lock += "print('locked', flush=True); sys.stdin.read()"
logger.flush()
other = subprocess.Popen(
    [sys.executable, "-c", lock, sys.argv[1] + "/metrics.sqlite"],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
)
other.stdout.readline()
logger.log(0, "loss", 0.0)
try:
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    logger.flush()
except KeyboardInterrupt:
    print("interrupted", file=sys.stderr)
other.communicate()
"""
    code, errors = run_program(run_dir, program)
    assert (code, errors) == (0, "interrupted\n")
    assert_complete(run_dir, "finished")


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("os._exit(7)", 7),
        ("os.abort()", -signal.SIGABRT),
        ("os.execv('/bin/true', ['true'])", 0),
        ("import ctypes; ctypes.string_at(0)", -signal.SIGSEGV),
    ],
)
def test_a_program_that_dies_leaves_a_run_that_can_be_recovered(run_dir: Path, end: str, code: int) -> None:
    found, _ = run_program(run_dir, end)
    assert found == code
    assert run_files.manifest(run_dir)["status"] == "running"
    recovered = holter._core.recover(str(run_dir))
    assert recovered <= STEPS
    assert_complete(run_dir, "crashed")
    assert holter._core.recover(str(run_dir)) == 0


def test_a_sigterm_handler_that_exits_closes_the_run_as_finished(run_dir: Path) -> None:
    end = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); print(flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", START + end, str(run_dir)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "logged\n"
        assert child.stdout.readline() == "\n"
        child.send_signal(signal.SIGTERM)
        assert child.wait(DEADLINE_SECS) == 0
    assert_complete(run_dir, "finished")


def test_an_error_while_closing_one_run_does_not_prevent_closing_others(tmp_path: Path) -> None:
    program = """
import shutil, sys, holter
loggers = [holter.Logger(f"{sys.argv[1]}/{index}", journal_points=1024) for index in range(5)]
for index, logger in enumerate(loggers):
    logger.log(0, "loss", float(index))
loggers[0].flush()
shutil.rmtree(f"{sys.argv[1]}/0")
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECS,
        check=False,
    )
    assert "Error" in done.stderr
    for index in range(1, 5):
        assert run_files.sqlite_points(tmp_path / str(index)) == {("loss", 0): float(index)}
        assert run_files.manifest(tmp_path / str(index))["status"] == "finished"
