"""A second run of the same script, and resuming: which directory is used, and what is kept."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import holter

SCRIPT = """
import os, signal, sys
import holter
end, lr = sys.argv[1], float(sys.argv[2])
with holter.Logger("runs/run-1", config={"lr": lr, "model": {"dim": 8}}) as logger:
    first = 0 if logger.last_step is None else logger.last_step + 1
    for step in range(first, first + 10):
        logger.log(step, "loss", step * lr)
    if end == "raise":
        raise RuntimeError("out of memory")
    if end != "finish":
        logger.flush()
        os.kill(os.getpid(), getattr(signal, end))
        signal.pause()
print(logger.path, logger.resumed)
"""


def train(cwd: Path, end: str = "finish", lr: float = 1.0, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", SCRIPT, end, str(lr)]
    return subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120, check=False
    )


def content(path: Path) -> dict[str, bytes]:
    return {p.relative_to(path).as_posix(): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


def test_second_run_of_a_script_gets_its_own_directory(tmp_path):
    assert train(tmp_path).stdout.split() == ["runs/run-1", "False"]
    before = content(tmp_path / "runs/run-1")
    second = train(tmp_path, lr=2.0)
    assert second.stdout.split() == ["runs/run-1-2", "False"]
    assert second.stderr.count("runs/run-1 is complete, so this run records to runs/run-1-2") == 1
    assert train(tmp_path).stdout.split() == ["runs/run-1-3", "False"]
    assert content(tmp_path / "runs/run-1") == before
    runs = holter.list_runs(tmp_path / "runs")
    assert [(run.name, run.config["lr"]) for run in runs] == [("run-1", 1.0), ("run-1-2", 2.0), ("run-1-3", 1.0)]
    assert [run.series("loss").values.tolist() for run in runs[:2]] == [
        [float(step) for step in range(10)],
        [step * 2.0 for step in range(10)],
    ]


@pytest.mark.parametrize(
    ("end", "status"),
    [("raise", "failed"), ("SIGTERM", "interrupted"), ("SIGINT", "interrupted"), ("SIGKILL", "crashed")],
)
def test_run_that_did_not_complete_is_resumed(tmp_path, end, status):
    train(tmp_path, end)
    assert holter.open_run(tmp_path / "runs/run-1").status == status
    resumed = train(tmp_path, lr=2.0)
    assert resumed.stdout.split() == ["runs/run-1", "True"]
    assert f"resuming runs/run-1 ({status}, after step 9)" in resumed.stderr
    assert "resuming runs/run-1 with a different config: lr: 1.0 -> 2.0" in resumed.stderr
    run = holter.open_run(tmp_path / "runs/run-1")
    assert run.status == "finished"
    assert run.series("loss").values.tolist() == [*map(float, range(10)), *(step * 2.0 for step in range(10, 20))]


def test_each_attempt_keeps_its_config_command_and_versions(tmp_path):
    train(tmp_path, "SIGTERM")
    train(tmp_path, lr=2.0)
    manifest = json.loads((tmp_path / "runs/run-1/run.json").read_text())
    first, second = manifest["attempts"]
    assert (first["config"]["lr"], second["config"]["lr"], manifest["config"]["lr"]) == (1.0, 2.0, 2.0)
    assert (first["command_line"], second["command_line"]) == (["-c", "SIGTERM", "1.0"], ["-c", "finish", "2.0"])
    assert first["versions"]["holter"] == second["versions"]["holter"] == holter.__version__


@pytest.mark.parametrize(
    "environment", [{"SLURM_RESTART_COUNT": "1"}, {"TORCHELASTIC_RESTART_COUNT": "2"}, {"HOLTER_RESUME": "allow"}]
)
def test_requeued_job_resumes_its_run(tmp_path, environment):
    train(tmp_path)
    assert train(tmp_path, **environment).stdout.split() == ["runs/run-1", "True"]


def test_first_start_of_a_job_does_not_resume(tmp_path):
    train(tmp_path)
    assert train(tmp_path, SLURM_RESTART_COUNT="0").stdout.split() == ["runs/run-1-2", "False"]


def test_ranks_choose_the_same_directory(tmp_path):
    path = tmp_path / "run"
    for _ in range(2):
        loggers = [holter.Logger(path, rank=rank) for rank in range(3)] if not path.exists() else None
        if loggers is None:
            with pytest.warns(holter.exceptions.HolterWarning, match="is complete"):
                loggers = [holter.Logger(path, rank=rank) for rank in range(3)]
        for logger in loggers:
            logger.log(0, "loss", 1.0)
            logger.close()
    assert [run.ranks for run in holter.list_runs(tmp_path)] == [[0, 1, 2], [0, 1, 2]]


def test_all_ranks_resume_if_rank_0_crashed(tmp_path):
    path = tmp_path / "run"
    holter.Logger(path, rank=1).close()
    child = f"import holter, os, signal; logger = holter.Logger({str(path)!r}); os.kill(os.getpid(), signal.SIGKILL)"
    subprocess.run([sys.executable, "-c", child], check=False, timeout=60)
    loggers = [holter.Logger(path, rank=rank) for rank in range(2)]
    assert [logger.path for logger in loggers] == [path, path / "rank-00001"]
    for logger in loggers:
        logger.close()


def test_explicit_resume_is_respected(tmp_path):
    holter.Logger(tmp_path / "run").close()
    with pytest.raises(FileExistsError, match='pass resume="allow" to resume it'):
        holter.Logger(tmp_path / "run", resume="never")
    for resume in ("allow", "must"):
        with holter.Logger(tmp_path / "run", resume=resume) as logger:
            assert logger.resumed
    with pytest.raises(ValueError, match='"auto", "never", "allow", "must"'):
        holter.Logger(tmp_path / "run", resume="always")


def test_stopped_run_is_complete(tmp_path):
    holter.Logger(tmp_path / "run").close(status="stopped")
    assert holter.open_run(tmp_path / "run").status == "stopped"
    with pytest.warns(holter.exceptions.HolterWarning, match="is complete"):
        holter.Logger(tmp_path / "run").finish()
    assert holter.open_run(tmp_path / "run-2").status == "finished"
    with pytest.raises(ValueError, match="status must be one of"):
        holter.Logger(tmp_path / "other").close(status="running")


def test_program_that_handles_sigterm_keeps_its_handler(tmp_path):
    program = f"""
import os, signal, holter
signal.signal(signal.SIGTERM, lambda *_: print("handled"))
logger = holter.Logger({str(tmp_path / "run")!r})
os.kill(os.getpid(), signal.SIGTERM)
logger.log(0, "x", 1.0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "handled\n"
    assert holter.open_run(tmp_path / "run").status == "finished"


def test_exit_status_after_sigterm_is_that_of_the_signal(tmp_path):
    assert train(tmp_path, "SIGTERM").returncode == -signal.SIGTERM


def test_run_whose_journal_is_left_is_resumed(tmp_path):
    """Closing with a failing disk leaves points in the journal, which only a resume or a recovery moves to the sinks."""
    train(tmp_path, "SIGKILL")
    manifest = tmp_path / "runs/run-1/run.json"
    manifest.write_text(manifest.read_text().replace('"running"', '"finished"'))
    assert train(tmp_path).stdout.split() == ["runs/run-1", "True"]
    assert len(holter.open_run(tmp_path / "runs/run-1").series("loss")) == 20


def test_status_of_a_later_version_is_read_as_unknown(tmp_path):
    train(tmp_path)
    manifest = tmp_path / "runs/run-1/run.json"
    manifest.write_text(manifest.read_text().replace('"finished"', '"preempted"', 1))
    assert holter.open_run(tmp_path / "runs/run-1").status == "unknown"
    assert train(tmp_path).stdout.split() == ["runs/run-1", "True"]


def test_config_is_not_written_to_a_run_that_took_the_directory(tmp_path):
    first = holter.Logger(tmp_path / "run", name="first")
    (tmp_path / "run").rename(tmp_path / "moved")
    with holter.Logger(tmp_path / "run", name="second"), pytest.raises(holter.StoreError, match="another folder"):
        first.update_config({"lr": 1.0})
    assert holter.open_run(tmp_path / "run").name == "second"
    assert "lr" not in holter.open_run(tmp_path / "run").config
    with pytest.raises(holter.StoreError):
        first.close()
