"""One process of distributed trainings, run by test_distributed.py.

    python sharded_training.py RANK PROCESSES DIRECTORY KIND …

For each kind, it trains a small model for three clipped steps on its share of the rows, and a local reference model on
all rows. It records into its rank's part of the run, and prints the numbers of the reference's full gradients.
"""

import contextlib
import json
import sys
import warnings
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

import holter
from holter.torch import Attention, Parameter, Rank, watch

STEPS, ROWS, TOKENS, WIDTH = 3, 4, 8, 8
MAX_NORM = 0.05


class Layer(nn.Module):
    """Linear layers that tensor parallelism shards, and a norm that it replicates."""

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, x):
        return x + self.down(torch.tanh(self.up(self.norm(x))))


class Model(nn.Module):
    followed, matrices = "layers.1.down.bias", "layers.*.up.weight"

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(6, WIDTH)
        self.attention = nn.MultiheadAttention(WIDTH, 2, batch_first=True)
        self.layers = nn.ModuleList(Layer() for _ in range(2))

    def forward(self, x):
        x = self.embed(x)
        x = x + self.attention(x, x, x, need_weights=False)[0]
        for layer in self.layers:
            x = layer(x)
        return x


class Llama(nn.Module):
    """A transformers model that takes embeddings as its input."""

    followed, matrices = "inner.layers.1.input_layernorm.weight", "inner.layers.*.mlp.up_proj.weight"

    def __init__(self):
        super().__init__()
        import transformers

        config = transformers.LlamaConfig(
            hidden_size=6,
            num_hidden_layers=2,
            num_attention_heads=3,
            num_key_value_heads=1,
            head_dim=4,
            intermediate_size=10,
            vocab_size=8,
        )
        self.inner = transformers.LlamaModel(config)
        self.inner.embed_tokens = None

    @property
    def layers(self):
        return self.inner.layers

    def forward(self, x):
        return self.inner(inputs_embeds=x, use_cache=False)[0]


def distribute(model, kind, processes):
    """Distribute a model; return it, the number of shares of the rows, and the index of this process's share."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

    if kind.startswith("ddp"):
        return nn.parallel.DistributedDataParallel(model), processes, dist.get_rank()
    if kind.startswith("fsdp2") and kind != "fsdp2+tp":
        mesh = init_device_mesh("cpu", (processes,))
        across = mesh
    else:
        mesh = init_device_mesh("cpu", (2, processes // 2), mesh_dim_names=("outer", "inner"))
        across = mesh if kind == "hsdp" else mesh["outer"]
    if kind in ("tp", "fsdp2+tp"):
        for layer in model.layers:
            parallelize_module(layer, mesh["inner"], {"up": ColwiseParallel(), "down": RowwiseParallel()})
    if kind == "tp":
        return model, 1, 0
    for module in (*model.layers, model):
        fully_shard(module, mesh=across)
    rows = 2 if kind == "fsdp2+tp" else processes
    return model, rows, dist.get_rank() if rows == processes else mesh.get_local_rank("outer")


def add_expected(expected, reference, step):
    """Add the reference's gradient norms and parameter values, by the names under which a watch records them."""
    for name, parameter in reference.named_parameters():
        expected[f"grad_norm/{name}@{step}"] = float(parameter.grad.double().norm())
    followed = dict(reference.named_parameters())[reference.followed]
    expected[f"followed/layer_1@{step}"] = float(followed.detach().mean())
    expected[f"followed_grad/layer_1@{step}"] = float(followed.grad.mean())


def train(kind, rank, processes, directory):
    torch.manual_seed(0)
    reference, model = (Llama() if "llama" in kind else Model() for _ in range(2))
    model.load_state_dict(reference.state_dict())
    model, shares, share = distribute(model, kind, processes)
    batches = torch.randn(STEPS, shares, ROWS, TOKENS, 6)
    optimizers = [torch.optim.SGD(each.parameters(), lr=0.1) for each in (model, reference)]
    is_watched = kind != "ddp, rank 0 only" or rank == 0
    expected, disabled = {}, {}
    with contextlib.ExitStack() as stack:
        clip = torch.nn.utils.clip_grad_norm_
        if is_watched:
            logger = stack.enter_context(holter.Logger(Path(directory) / kind, rank=rank))
            handle = stack.enter_context(
                watch(
                    model,
                    logger,
                    optimizers[0],
                    attention=Attention(every=1, exact=True),
                    parameters={reference.followed: Parameter("followed", gradient=True)},
                    rank=Rank(reference.matrices, every=1),
                )
            )
        for step, batch in enumerate(batches):
            for optimizer in optimizers:
                optimizer.zero_grad()
            model(batch[share]).square().mean().backward()
            reference(batch.flatten(0, 1)).square().mean().backward()
            add_expected(expected, reference, step)
            expected[f"grad_norm_total@{step}"] = float(clip(reference.parameters(), MAX_NORM))
            # torch's clipping does not support gradients of several meshes.
            if is_watched and (step < 2 or kind in ("tp", "fsdp2+tp")):
                handle.clip_grad_norm_(MAX_NORM)
            else:
                clip(model.parameters(), MAX_NORM)
            for optimizer in optimizers:
                optimizer.step()
        disabled = handle.disabled if is_watched else {}
    print(json.dumps({"kind": kind, "expected": expected, "disabled": disabled, "is_watched": is_watched}), flush=True)


def main(rank, processes, directory, *kinds):
    torch.set_num_threads(1)
    where = {"init_method": f"file://{directory}/store", "rank": int(rank), "world_size": int(processes)}
    dist.init_process_group("gloo", **where)
    for kind in kinds:
        train(kind, int(rank), int(processes), directory)
        dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(*sys.argv[1:])
