"""Trainings that several processes share, with real processes: every process records the norms of whole gradients."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import holter  # noqa: E402

if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
    pytest.skip("torch is built without gloo", allow_module_level=True)

PROGRAM = Path(__file__).with_name("sharded_training.py")
PROCESSES = 4
KINDS = ["ddp", "ddp, the first alone", "fsdp2", "hsdp", "tp", "fsdp2+tp"]
if importlib.util.find_spec("transformers") is not None:
    KINDS += ["ddp of llama", "fsdp2 of llama"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Where the runs are, and for each kind what each process said; the processes train one kind after the other."""
    directory = tmp_path_factory.mktemp("shared")
    processes = [
        subprocess.Popen(
            [sys.executable, PROGRAM, str(rank), str(PROCESSES), directory, *KINDS],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(PROCESSES)
    ]
    outputs = [process.communicate(timeout=250) for process in processes]
    for process, (_, errors) in zip(processes, outputs, strict=True):
        assert process.returncode == 0, errors
    said = [[json.loads(line) for line in output.splitlines() if line.startswith("{")] for output, _ in outputs]
    return directory, {kind: [one for ranks in said for one in ranks if one["kind"] == kind] for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_every_rank_records_the_whole_gradient_into_its_own_part(kind, trained):
    directory, said = trained
    assert len(said[kind]) == PROCESSES
    recorded = holter.open_run(directory / kind)
    assert recorded.ranks == [rank for rank, one in enumerate(said[kind]) if one["is_watched"]]
    for rank in recorded.ranks:
        run, one = recorded.open_rank(rank), said[kind][rank]
        assert one["disabled"] == {}
        for name, value in one["expected"].items():
            metric, _, step = name.rpartition("@")
            found = run.series(metric)
            at = found.steps.tolist().index(int(step))
            assert found.values[at] == pytest.approx(value, rel=1e-4, abs=1e-7), name
        assert run.series("effective_rank/layer_1").steps.tolist() == [0, 1, 2]
        first = "attention_entropy/layer_0" if "llama" in kind else "attention_entropy/attention"
        assert run.series(first).steps.tolist() == [0, 1, 2]
