"""DistributedDataParallel and FSDP2, with real processes: every process records the norms of the whole gradients."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

torch = pytest.importorskip("torch")

if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
    pytest.skip("torch is built without gloo", allow_module_level=True)

PROCESSES = 2

PROGRAM = textwrap.dedent(
    """
    import json, sys, warnings
    warnings.simplefilter("ignore")
    import torch, torch.distributed as dist
    from torch import nn
    from holter.torch import Parameter, Rank, watch

    class Recorder:
        def __init__(self): self.points = {}
        def metrics(self, names): return tuple(names)
        def log_array(self, step, metrics, values):
            self.points.update({f"{name}@{step}": float(value) for name, value in zip(metrics, values)})

    kind, rank, store = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))
    batches = torch.randn(3, 2, 4, 6)
    twin = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))
    twin.load_state_dict(model.state_dict())
    if kind == "ddp":
        model = nn.parallel.DistributedDataParallel(model)
    else:
        from torch.distributed.fsdp import fully_shard
        for layer in (model[0], model[2]):
            fully_shard(layer)
        fully_shard(model)
    recorder, expected = Recorder(), {}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    reference = torch.optim.SGD(twin.parameters(), lr=0.1)
    followed = {"2.bias": Parameter("bias", gradient=True)}
    with watch(model, recorder, optimizer, parameters=followed, rank=Rank("0.weight", every=1)) as handle:
        for step, batch in enumerate(batches):
            optimizer.zero_grad(); reference.zero_grad()
            model(batch[rank]).square().mean().backward()
            twin(batch.flatten(0, 1)).square().mean().backward()
            for name, parameter in twin.named_parameters():
                expected[f"grad_norm/{name}@{step}"] = float(parameter.grad.double().norm())
            expected[f"bias/layer_2@{step}"] = float(twin[2].bias.detach().mean())
            expected[f"bias_grad/layer_2@{step}"] = float(twin[2].bias.grad.mean())
            total = torch.nn.utils.clip_grad_norm_(twin.parameters(), 0.05)
            expected[f"grad_norm_total@{step}"] = float(total)
            if step < 2:
                handle.clip_grad_norm_(0.05)
            else:
                torch.nn.utils.clip_grad_norm_(model.parameters(), 0.05)
            optimizer.step(); reference.step()
        disabled = handle.disabled
    print(json.dumps({"got": recorder.points, "expected": expected, "disabled": disabled}))
    dist.destroy_process_group()
    """
)


@pytest.mark.parametrize("kind", ["ddp", "fsdp2"])
def test_norms_are_those_of_the_whole_gradient(kind, tmp_path):
    arguments = [[sys.executable, "-c", PROGRAM, kind, str(rank), str(tmp_path / "store")] for rank in range(PROCESSES)]
    processes = [
        subprocess.Popen(one, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
        for one in arguments
    ]
    outputs = [process.communicate(timeout=200) for process in processes]
    for process, (output, errors) in zip(processes, outputs, strict=True):
        assert process.returncode == 0, errors
        result = json.loads(output.splitlines()[-1])
        assert result["disabled"] == {}
        for name, value in result["expected"].items():
            assert result["got"][name] == pytest.approx(value, rel=1e-4, abs=1e-7), name
        assert "effective_rank/layer_0@2" in result["got"]
