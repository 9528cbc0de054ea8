"""Overhead of watching a training: a step of GPT-2 (124 million parameters) at T=1024, and attention statistics.

The batch is one sequence and everything runs on one thread, so a step takes about ten seconds. Each round runs one step
of every kind in turn and reports its CPU time relative to the unwatched step of the same round. Other tools run in the
first rounds only, because their overhead is far above noise; tools that are not installed are skipped.
`HOLTER_BENCH_ROUNDS` sets the number of rounds; `--attention` skips the steps.
"""

import contextlib
import ctypes
import functools
import os
import pathlib
import re
import sys
import tempfile
import time
import warnings

import torch
import torch.nn.functional as F
from support import report
from torch import nn

import holter
from holter.torch import watch
from holter.torch._attention_call import AttentionCall
from holter.torch._attention_math import exact, fused_entropy, sampled

WIDTH, HEADS, LAYERS, TOKENS, VOCABULARY = 768, 12, 12, 1024, 50257
ROUNDS = int(os.environ.get("HOLTER_BENCH_ROUNDS", "7"))
ROUNDS_OF_OTHER_TOOLS = 3
ATTENTION_ROUNDS = 7
UNWATCHED, DUE, NOT_DUE = "unwatched", "watched, attention recorded", "watched, attention not recorded"
ALL_ROUNDS = (UNWATCHED, DUE, NOT_DUE)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        query, key, value = self.qkv(x).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.out(mixed.transpose(1, 2).flatten(2))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attention = Attention()
        self.rest = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x):
        x = x + self.attention(self.first(x))
        return x + self.rest(self.second(x))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.places = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(TOKENS, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, tokens):
        x = self.tokens(tokens) + self.places.weight
        for block in self.blocks:
            x = block(x)
        return F.linear(self.norm(x), self.tokens.weight)


def naive_statistics(query, key):
    """Compute entropy and sparsity the usual way: from all weights."""
    scores = query @ key.mT * query.shape[-1] ** -0.5
    hidden = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
    weights = scores.masked_fill(hidden, float("-inf")).softmax(dim=-1)
    return -(weights * (weights + 1e-10).log()).sum(dim=-1).mean(), (weights > 0.1).float().mean()


@contextlib.contextmanager
def naive(model, run):
    """Record naively: all weights of every layer, and `.item()` for each number."""
    original, layers = F.scaled_dot_product_attention, iter(range(10**9))

    def attend(query, key, value, **keywords):
        with torch.no_grad():
            entropy, share = naive_statistics(query.detach(), key.detach())
        layer = next(layers) % LAYERS
        run.log(0, f"naive_entropy/layer_{layer}", entropy.item())
        run.log(0, f"naive_sparsity/layer_{layer}", share.item())
        return original(query, key, value, **keywords)

    def norms(*_arguments):
        for name, parameter in model.named_parameters():
            run.log(0, f"naive_norm/{name}", parameter.grad.norm().item())

    F.scaled_dot_product_attention = attend
    try:
        yield norms
    finally:
        F.scaled_dot_product_attention = original


@contextlib.contextmanager
def with_wandb(model):
    """Record histograms of every gradient, at this step."""
    import wandb

    wandb.watch(model, log="gradients", log_freq=1)
    try:
        yield lambda: wandb.log({"step": 1})
    finally:
        wandb.unwatch(model)


class Trainscope:
    """Statistics of gradients and weights at every step, and of activations at some steps."""

    def __init__(self, model, optimizer, directory):
        from trainscope import TrainScope, TrainScopeConfig

        config = TrainScopeConfig(run_dir=str(directory), run_name="trainscope", integrations={"wandb": False})
        self._scope = TrainScope(model, optimizer, config)

    @contextlib.contextmanager
    def attached(self):
        self._scope.attach()
        try:
            yield lambda: self._scope.step(1.0)
        finally:
            for hook in self._scope._hooks:  # noqa: SLF001  its `close` also closes its files
                hook.remove()
            self._scope._hooks.clear()  # noqa: SLF001


class Steps:
    """Timed steps of one model."""

    def __init__(self, logger):
        self.model, self.logger = Model(), logger
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-5, fused=True)
        self.text = torch.randint(0, VOCABULARY, (2, TOKENS))

    def take(self, after_backward=None):
        start = time.process_time()
        loss = F.cross_entropy(self.model(self.text[:1]).flatten(0, 1), self.text[1])
        self.optimizer.zero_grad()
        loss.backward()
        if after_backward is not None:
            after_backward()
        self.optimizer.step()
        return time.process_time() - start

    def unwatched(self):
        return self.take()

    def watched(self, *, with_attention):
        with watch(self.model, self.logger, self.optimizer) as handle:
            if not with_attention:
                handle.commit(10)  # attention is recorded at step 10 and next at step 20
            return self.take()

    def with_naive(self):
        with naive(self.model, self.logger) as norms:
            return self.take(after_backward=norms)

    def with_wandb(self):
        with with_wandb(self.model) as log:
            return self.take(after_backward=log)

    def with_trainscope(self, scope):
        with scope.attached() as record:
            return self.take(after_backward=record)


def steps(directory):
    """Measure a step watched with defaults, and with other tools, relative to the unwatched step of the same round."""
    with holter.Logger(directory / "run") as logger:
        model_steps = Steps(logger)
        kinds = {
            UNWATCHED: model_steps.unwatched,
            DUE: lambda: model_steps.watched(with_attention=True),
            NOT_DUE: lambda: model_steps.watched(with_attention=False),
            "naive": model_steps.with_naive,
        }
        if start_wandb(directory):
            kinds["wandb"] = model_steps.with_wandb
        with contextlib.suppress(ImportError):
            kinds["trainscope"] = functools.partial(
                model_steps.with_trainscope, Trainscope(model_steps.model, model_steps.optimizer, directory)
            )
        for take in kinds.values():
            take()
        times = {kind: [] for kind in kinds}
        for turn in range(ROUNDS):
            for kind, take in kinds.items():
                if turn < ROUNDS_OF_OTHER_TOOLS or kind in ALL_ROUNDS:
                    times[kind].append(take())
        own_work(model_steps, times[UNWATCHED])
    report("probes.step", "an unwatched step", times[UNWATCHED], "s")
    overhead = {
        kind: [100 * (a / b - 1) for a, b in zip(found, times[UNWATCHED], strict=False)]
        for kind, found in times.items()
    }
    mean = [(due + 9 * not_due) / 10 for due, not_due in zip(overhead[DUE], overhead[NOT_DUE], strict=True)]
    report("probes.defaults", "watched with defaults, mean over ten steps", mean, "%")
    report("probes.defaults_attention", "watched with defaults, a step that records attention", overhead[DUE], "%")
    fastest = {kind: min(found) for kind, found in times.items()}
    watched = (fastest[DUE] + 9 * fastest[NOT_DUE]) / 10
    what = "watched with defaults, mean over ten steps, fastest steps relative to the fastest unwatched step"
    report("probes.defaults_fastest", what, 100 * (watched / fastest[UNWATCHED] - 1), "%")
    report("probes.naive", "naive hooks at every step: all weights, `.item()` for each number", overhead["naive"], "%")
    if "wandb" in overhead:
        report("probes.wandb", "`wandb.watch` at every step: histograms of the gradients only", overhead["wandb"], "%")
    if "trainscope" in overhead:
        what = "`trainscope` with defaults: statistics of gradients and weights at every step"
        report("probes.trainscope", what, overhead["trainscope"], "%")


def own_work(model_steps, unwatched):
    """Measure the watch's own work separately, without the noise of the model's time."""
    median = sorted(unwatched)[len(unwatched) // 2]
    width = WIDTH // HEADS
    call = AttentionCall(torch.randn(1, HEADS, TOKENS, width), torch.randn(1, HEADS, TOKENS, width), is_causal=True)
    norms, attention = [], []
    with watch(model_steps.model, model_steps.logger, attention=None) as handle:
        for turn in range(ROUNDS):
            start = time.process_time()
            handle.commit(turn)
            norms.append(time.process_time() - start)
            start = time.process_time()
            for _ in range(LAYERS):
                sampled(call, 32, 0.3, 0.1)
            attention.append(time.process_time() - start)
    share = [100 * (a + b / 10) / median for a, b in zip(norms, attention, strict=True)]
    report("probes.own", "share of an unwatched step: Holter's own work per step, timed separately", share, "%")


def start_wandb(directory):
    """Start an offline run of wandb; return whether it is installed."""
    try:
        import wandb
    except ImportError:
        return False
    os.environ |= {"WANDB_SILENT": "true", "WANDB_MODE": "offline"}
    wandb.init(project="bench", dir=str(directory), mode="offline")
    return True


def peak_bytes(function):
    """Return the peak increase of the process's resident memory during a call."""
    ctypes.CDLL(None).malloc_trim(0)  # return freed memory to the system, so that reusing it counts
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    function()
    return _status("VmHWM") - before


def _status(field):
    return 1024 * int(re.search(rf"{field}:\s+(\d+)", pathlib.Path("/proc/self/status").read_text("utf-8"))[1])


def attention():
    """Measure one layer's statistics at B=4, H=12, T=1024, relative to materializing all weights."""
    query, key = torch.randn(4, HEADS, TOKENS, 64), torch.randn(4, HEADS, TOKENS, 64)
    call = AttentionCall(query, key, is_causal=True)
    kinds = {
        "naive": functools.partial(naive_statistics, query, key),
        "sampled": functools.partial(sampled, call, 32, 0.3, 0.1),
        "entropy": functools.partial(fused_entropy, call),
        "exact": functools.partial(exact, call, 0.1),
    }
    times, peaks = {kind: [] for kind in kinds}, {kind: [] for kind in kinds}
    with torch.no_grad():
        for _ in range(ATTENTION_ROUNDS):
            for kind, function in kinds.items():
                start = time.process_time()
                function()
                times[kind].append(time.process_time() - start)
                peaks[kind].append(peak_bytes(function))
    report("probes.attention_naive", "all weights, their entropy and sparsity", [1e3 * t for t in times["naive"]], "ms")
    what = {
        "sampled": "sampled, 32 queries: entropy, sparsity, largest logit",
        "entropy": "exact: entropy only",
        "exact": "exact: entropy, sparsity, largest logit",
    }
    for kind, text in what.items():
        speedup = [a / b for a, b in zip(times["naive"], times[kind], strict=True)]
        reduction = [a / max(b, 1) for a, b in zip(peaks["naive"], peaks[kind], strict=True)]
        report(f"probes.attention_{kind}_time", f"{text}: speedup", speedup, "×")
        report(f"probes.attention_{kind}_memory", f"{text}: memory reduction", reduction, "×")


def main():
    """Measure."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    warnings.simplefilter("ignore")
    attention()
    if "--attention" not in sys.argv:
        with tempfile.TemporaryDirectory(prefix="holter-probes-") as directory:
            steps(pathlib.Path(directory))


main()
