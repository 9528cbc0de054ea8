"""Distributed training with real processes: every process records the norms of full gradients."""

import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import holter  # noqa: E402

if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
    pytest.skip("torch is built without gloo", allow_module_level=True)

PROGRAM = Path(__file__).with_name("sharded_training.py")
PROCESSES = 4
DEADLINE_SECS = 280
"""Less than pytest's `faulthandler_timeout`, so that a hang fails this test only."""
KINDS = ["ddp", "ddp, rank 0 only", "fsdp2", "hsdp", "tp", "fsdp2+tp"]
if importlib.util.find_spec("transformers") is not None:
    KINDS += ["ddp of llama", "fsdp2 of llama"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train every kind in turn; return the directory of the runs, and each process's report for each kind."""
    directory = tmp_path_factory.mktemp("distributed")
    processes = [
        subprocess.Popen(
            [sys.executable, PROGRAM, str(rank), str(PROCESSES), directory, *KINDS],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(PROCESSES)
    ]
    deadline = time.monotonic() + DEADLINE_SECS
    try:
        outputs = [process.communicate(timeout=max(0.0, deadline - time.monotonic())) for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, (_, errors) in zip(processes, outputs, strict=True):
        assert process.returncode == 0, errors
    reports = [json.loads(line) for output, _ in outputs for line in output.splitlines() if line.startswith("{")]
    return directory, {kind: [report for report in reports if report["kind"] == kind] for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_every_rank_records_norms_of_full_gradients(kind, trained):
    directory, reports = trained
    assert len(reports[kind]) == PROCESSES
    recorded = holter.open_run(directory / kind)
    assert recorded.ranks == [rank for rank, report in enumerate(reports[kind]) if report["is_watched"]]
    for rank in recorded.ranks:
        run, report = recorded.open_rank(rank), reports[kind][rank]
        assert report["disabled"] == {}
        for name, value in report["expected"].items():
            metric, _, step = name.rpartition("@")
            found = run.series(metric)
            at = found.steps.tolist().index(int(step))
            assert found.values[at] == pytest.approx(value, rel=1e-4, abs=1e-7), name
        assert run.series("effective_rank/layer_1").steps.tolist() == [0, 1, 2]
        first = "attention_entropy/layer_0" if "llama" in kind else "attention_entropy/attention"
        assert run.series(first).steps.tolist() == [0, 1, 2]
