"""`holter recover` and `holter completion`."""

import json
import shutil
import subprocess
import sys

import pytest

import holter
import run_files

CRASH = """if True:
    import os, sys, holter
    logger = holter.Logger(sys.argv[1], journal_points=1 << 10)
    for step in range(1200):
        logger.log(step, "loss", 1.0)
    os._exit(9)
"""


@pytest.fixture
def crashed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = subprocess.run([sys.executable, "-c", CRASH, "runs/crashed"], timeout=60, check=False)
    assert done.returncode == 9
    return tmp_path / "runs" / "crashed"


def test_a_crashed_run_is_recovered(crashed, invoke):
    result = invoke("recover", "crashed")
    assert result.status == 0
    assert result.stdout.startswith("runs/crashed: ")
    assert "points recovered from the journal" in result.stdout
    assert not (crashed / "journal.holter").exists()
    assert len(run_files.parquet_points(crashed)) == 1200
    assert invoke("recover", "runs/crashed").stdout == "runs/crashed: nothing to recover\n"


def test_each_run_is_reported_and_a_failure_does_not_affect_others(crashed, invoke):
    with holter.Logger("runs/live", journal_points=1 << 10) as logger:
        logger.log(0, "loss", 1.0)
        result = invoke("recover", "--json", "runs/nothing", "runs/live", "crashed")
    assert result.status == 1
    nothing, live, recovered = map(json.loads, result.stdout.splitlines())
    assert "run 'runs/nothing' does not exist" in nothing["error"]
    assert nothing["run"] == "runs/nothing"
    assert "is being written by" in live["error"]
    assert set(recovered) == {"run", "recovered"}
    assert recovered["recovered"] > 0


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_is_valid_and_documents_its_installation(shell, invoke, tmp_path):
    result = invoke("completion", shell)
    assert result.status == 0
    first, *rest = result.stdout.splitlines()
    assert first.startswith("# Completion of the command `holter`")
    assert f"holter completion {shell}" in first
    assert "_HOLTER_COMPLETE" in "\n".join(rest)
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed, so the syntax was not checked")
    script = tmp_path / "script"
    script.write_text(result.stdout)
    subprocess.run([shell, "-n", str(script)], check=True, timeout=60)


def complete(cwd, *words: str) -> list[str]:
    """Return what bash would offer after these words."""
    done = subprocess.run(
        [sys.executable, "-m", "holter.cli"],
        cwd=cwd,
        env={"_HOLTER_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return [line.split(",", 1)[1] for line in done.stdout.splitlines()]


def test_commands_options_and_runs_are_completed(runs, tmp_path):
    assert complete(tmp_path, "holter", "re") == ["report", "recover"]
    assert "--fail-on-nan" in complete(tmp_path, "holter", "tail", "--f")
    assert complete(tmp_path, "holter", "show", "pr") == ["prose"]
    assert sorted(complete(tmp_path, "holter", "show", "")) == ["code", "prose"]
    assert complete(tmp_path, "holter", "completion", "b") == ["bash"]


def test_completion_without_runs_falls_back_to_directories(tmp_path):
    assert complete(tmp_path, "holter", "show", "x") == ["x"]
