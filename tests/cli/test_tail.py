"""`holter tail`: live runs of another process, followed to their end or to their first NaN."""

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import holter
from waiting import wait_until

COMMAND = [sys.executable, "-W", "error", "-m", "holter.cli"]
DEADLINE_SECS = 60.0

# Logs a step for each line of its input, acknowledges it, and closes the run at the end of the input.
RECORDER = """if True:
    import math, sys
    import holter
    from holter import alerts
    rules = [alerts.Above("train/loss", threshold=99.0)]
    with holter.Logger(sys.argv[1], journal_points=1 << 12, alerts=rules) as logger:
        print("open", flush=True)
        for step, line in enumerate(sys.stdin):
            logger.log(step, "train/loss", float(line))
            logger.log(step, "grad_norm_total", 2.0)
            logger.log(step, "other/metric", 1.0)
            print(step, flush=True)
        print("closing", flush=True)
"""


class Recording:
    """A run that another process records, one step for each call of `log`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        command = [sys.executable, "-c", RECORDER, str(path)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._answer() == "open"

    def log(self, value: float) -> None:
        """Log a step and wait until it is recorded."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{value}\n")
        self.process.stdin.flush()
        self._answer()

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self._answer() == "closing"
        assert self.process.wait(DEADLINE_SECS) == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(DEADLINE_SECS)

    def _answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@pytest.fixture
def recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recording]:
    monkeypatch.chdir(tmp_path)
    live = Recording(Path("runs/live"))
    yield live
    live.kill()
    for pipe in (live.process.stdin, live.process.stdout):
        assert pipe is not None
        pipe.close()


@pytest.fixture
def follow(tmp_path: Path) -> Iterator[Callable[..., "Following"]]:
    started = []

    def start(*arguments: str) -> Following:
        started.append(Following(tmp_path / f"tail-{len(started)}", arguments))
        return started[-1]

    yield start
    for following in started:
        following.process.kill()
        following.process.wait(DEADLINE_SECS)


class Following:
    """A running `holter tail` with its output in files."""

    def __init__(self, path: Path, arguments: tuple[str, ...]) -> None:
        self._out, self._err = path.with_suffix(".out"), path.with_suffix(".err")
        with self._out.open("w") as out, self._err.open("w") as err:
            command = [*COMMAND, "tail", *arguments, "--every", "0.05"]
            self.process = subprocess.Popen(command, stdout=out, stderr=err)

    @property
    def stdout(self) -> str:
        return self._out.read_text()

    @property
    def stderr(self) -> str:
        return self._err.read_text()

    def wait_for(self, text: str) -> None:
        wait_until(lambda: re.search(text, self.stdout), DEADLINE_SECS)

    def status(self) -> int:
        return self.process.wait(DEADLINE_SECS)


def test_alerts_are_shown_once_each(recording, follow):
    recording.log(100.0)
    lines, documents = follow("live"), follow("live", "--json")
    line = "warning: train/loss at step {}: above 99, now {}"
    lines.wait_for(rf"Z  {line.format(0, 100)}\n")
    recording.log(1.0)
    lines.wait_for(r"Z +1 +1  train/loss\n")
    recording.log(200.0)
    lines.wait_for(rf"Z  {line.format(2, 200)}\n")
    recording.close()
    assert (lines.status(), documents.status()) == (0, 0)
    assert lines.stdout.count("warning: ") == 2
    alerts = [alert for line in documents.stdout.splitlines() for alert in json.loads(line)["alerts"]]
    assert [(alert["step"], alert["value"]) for alert in alerts] == [(0, 100.0), (2, 200.0)]


def test_a_live_run_is_followed_to_its_end(recording, follow):
    recording.log(3.5)
    tail = follow("live")
    tail.wait_for(r"Z +0 +3\.5  train/loss\n")
    recording.log(2.25)
    tail.wait_for(r"Z +1 +2\.25  train/loss\n")
    assert tail.process.poll() is None
    recording.close()
    assert tail.status() == 0
    assert re.fullmatch(r"live finished at step 1, \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\n", tail.stderr)
    pattern = r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ +\d+ +\S+  (train/loss|grad_norm_total)\n)+"
    assert re.fullmatch(pattern, tail.stdout), "one line for each headline"


def test_patterns_select_the_watched_series(recording, follow):
    recording.log(1.0)
    tail = follow("live", "other/*")
    tail.wait_for("other/metric")
    recording.close()
    assert tail.status() == 0
    assert "train/loss" not in tail.stdout


def test_json_lines_contain_changes_only(recording, follow):
    recording.log(1.0)
    tail = follow("live", "--json")
    tail.wait_for("train/loss")
    recording.log(2.0)
    tail.wait_for('"last_step": 1')
    recording.close()
    assert tail.status() == 0
    documents = [json.loads(line) for line in tail.stdout.splitlines()]
    keys = {"time", "path", "status", "is_live", "last_step", "nonfinite_series", "alerts", "series"}
    assert all(set(document) == keys for document in documents)
    assert documents[0]["status"] == "running"
    assert documents[0]["is_live"] is True
    assert documents[-1]["status"] == "finished"
    steps = {series["last_step"] for document in documents for series in document["series"]}
    assert steps <= {0, 1}
    series = [series for document in documents for series in document["series"]]
    losses = [facts["last_value"] for facts in series if facts["name"] == "train/loss"]
    assert losses == [1.0, 2.0]


def test_fail_on_nan_exits_with_1_at_the_first_nan(recording, follow):
    """Catches a check that waits for the end of the run, or uses the last value only."""
    recording.log(1.0)
    tail = follow("live", "--fail-on-nan")
    tail.wait_for("train/loss")
    recording.log(float("nan"))
    assert tail.status() == 1
    assert tail.stderr == "train/loss is not finite: nan at step 1 (1 of 2 points)\n"
    assert recording.process.poll() is None, "the training continues"
    recording.log(0.5)
    again = follow("live", "train/*", "--fail-on-nan", "--once")
    assert again.status() == 1, "earlier points count as well"
    assert "nan at step 1 (1 of 3 points)" in again.stderr
    other = follow("live", "grad*", "--fail-on-nan", "--once")
    assert other.status() == 0, "series that are not watched do not count"


def test_a_crash_is_reported_with_status_1(recording, follow):
    recording.log(1.0)
    tail = follow("live")
    tail.wait_for("train/loss")
    recording.kill()
    assert tail.status() == 1
    assert tail.stderr == "live crashed at step 0\n"


def test_a_deleted_run_is_reported(recording, follow):
    recording.log(1.0)
    tail = follow("live")
    tail.wait_for("train/loss")
    shutil.rmtree(recording.path)
    assert tail.status() == 1
    assert "runs/live was deleted or moved" in tail.stderr
    assert "Traceback" not in tail.stderr


def test_ctrl_c_exits_quietly(recording, follow):
    recording.log(1.0)
    tail = follow("live")
    tail.wait_for("train/loss")
    tail.process.send_signal(signal.SIGINT)
    assert tail.status() == 130
    assert tail.stderr.strip() == ""


def test_once_prints_one_update(recording, invoke):
    recording.log(1.0)
    result = invoke("tail", "live", "--once")
    assert result.status == 0
    assert result.stderr == ""
    assert len(result.stdout.splitlines()) == 2


def test_a_finished_run_is_shown_once(runs, invoke):
    result = invoke("tail", "prose", "*loss*")
    assert result.status == 0
    assert re.search(r"Z +299 +1\.15086  train/loss\n", result.stdout)
    assert "prose finished at step 299" in result.stderr


@pytest.mark.parametrize("status", ["failed", "interrupted", "stopped"])
def test_a_run_that_did_not_finish_exits_with_1(status, runs, invoke):
    path = runs / "prose" / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "status": status}))
    result = invoke("tail", "prose", "*loss*")
    assert result.status == 1
    assert f"prose {status} at step 299" in result.stderr


def test_a_run_without_points_is_followed(recording, follow):
    tail = follow("live")
    recording.log(4.0)
    tail.wait_for(r"4  train/loss")
    recording.close()
    assert tail.status() == 0


def test_series_names_are_escaped(runs, invoke):
    result = invoke("tail", "code", "*evil", "--once")
    assert "\\x1b[31mred\\x07\\u202eevil" in result.stdout
    assert "\x1b" not in result.stdout


def test_the_table_on_a_terminal_updates_in_place(recording, terminal):
    for step in range(5):
        recording.log(5.0 - step)
    session = terminal("tail", "live", "--every", "0.05")
    session.read_until(lambda text: "step 4" in text)
    assert "█" in session.plain
    recording.log(0.125)
    session.read_until(lambda text: "0.125" in text and "step 5" in text)
    assert re.search(r"live  running  step 5", session.plain)
    session.process.send_signal(signal.SIGINT)
    session.finish()
    assert session.process.returncode == 130
    assert session.text.rindex("\x1b[?25h") > session.text.rindex("\x1b[?25l"), "the cursor is shown again"
    assert "Traceback" not in session.text


def test_the_table_marks_non_finite_values(runs, terminal):
    session = terminal("tail", "code", "*grad*", "--once")
    session.finish()
    assert session.process.returncode == 0
    assert "1 series with NaN or Inf" in session.plain
    assert re.search(r"grad_norm_total.*×", session.plain)


def test_following_does_not_change_the_run(recording, follow):
    """Catches a reader that writes into the run, or locks it."""
    recording.log(1.0)
    before = sorted(recording.path.iterdir())
    tail = follow("live")
    tail.wait_for("train/loss")
    assert sorted(recording.path.iterdir()) == before
    recording.close()
    assert tail.status() == 0
    assert holter.open_run(recording.path).status == "finished"
