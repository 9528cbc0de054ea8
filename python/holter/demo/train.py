"""The demo's training loop: what a user's own loop looks like with everything recorded.

The lines that are Holter's are few: `watch` before the loop, `clip_grad_norm_` in place of torch's, and `log_many` for
what only the loop knows.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Protocol

import torch
import torch.nn.functional as F

from holter.demo.data import Corpus, load_corpus, streams
from holter.demo.model import AtlasLanguageModel, ModelConfig
from holter.torch import Attention, Parameter, Probe, Rank, Ratio, Watch, watch

if TYPE_CHECKING:
    from holter import Logger

BATCH = 8
LEARNING_RATE = 4e-3
MIXER_LEARNING_RATE = 4e-2
WARMUP_STEPS = 40
LARGEST_GRADIENT_NORM = 1.0
VALIDATION_EVERY = 50
VALIDATION_WINDOWS = 12
RANK_EVERY = 25


class Reporter(Protocol):
    """Who is told how the training goes."""

    def step(self, step: int, loss: float) -> None:
        """A step has been trained."""

    def validated(self, step: int, perplexity: float) -> None:
        """The held-out text has been looked at."""


@dataclass(frozen=True)
class Outcome:
    """What came of a training.

    Attributes:
        steps: how many steps were trained.
        interrupted: whether Ctrl-C ended it.
        seconds: how long it took.
        perplexity: per byte of held-out text, at the end.
        unigram_perplexity: what knowing nothing but how often each byte occurs would reach there.
    """

    steps: int
    interrupted: bool
    seconds: float
    perplexity: float
    unigram_perplexity: float


def train(data: str, steps: int, seed: int, logger: Logger, reporter: Reporter) -> Outcome:
    """Train a model on one of the corpora, everything recorded; Ctrl-C ends it early and in order.

    Args:
        data: `prose` or `code`.
        steps: how many steps.
        seed: of the initial weights. The text is read in the same order whatever the seed.
        logger: records the run.
        reporter: shows the progress.
    """
    torch.manual_seed(seed)
    corpus = load_corpus(data)
    model = AtlasLanguageModel(ModelConfig())
    optimizer = make_optimizer(model)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _learning_rate(step, steps))
    began = time.monotonic()
    done = 0
    with watch_everything(model, logger, optimizer) as vital_signs:
        memories = model.initial_memories(BATCH)
        windows = streams(corpus.train, BATCH, model.config.context)
        try:
            for step, (inputs, targets) in enumerate(islice(windows, steps)):
                if step % VALIDATION_EVERY == 0:
                    _validate(model, corpus, step, logger, reporter)
                logits, memories = model(inputs, memories)
                loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
                optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                vital_signs.clip_grad_norm_(LARGEST_GRADIENT_NORM)
                rate = schedule.get_last_lr()[0]
                optimizer.step()
                schedule.step()
                value = loss.item()
                logger.log_many(step, {"train/loss": value, "train/ppl": math.exp(value), "train/learning_rate": rate})
                reporter.step(step, value)
                done = step + 1
            interrupted = False
        except KeyboardInterrupt:
            interrupted = True
    perplexity = _validate(model, corpus, done, logger, reporter)
    return Outcome(done, interrupted, time.monotonic() - began, perplexity, corpus.unigram_perplexity())


def watch_everything(model: AtlasLanguageModel, logger: Logger, optimizer: torch.optim.Optimizer) -> Watch:
    """Every probe that fits this model, at every step."""
    return watch(
        model,
        logger,
        optimizer,
        attention=Attention(rows=32, every=1),
        probes=[
            # The memory's forward takes (x, matrix before) and returns (what was read, matrix after).
            Probe("blocks.*.memory", "memory_read_norm", lambda _memory, _inputs, output: output[0]),
            Probe("blocks.*.memory", "memory_write_norm", lambda _memory, inputs, output: output[1] - inputs[1]),
            Ratio("memory_rw_ratio", "memory_read_norm", "memory_write_norm"),
        ],
        parameters={
            "*.alpha_logit": Parameter("m3_alpha", transform="sigmoid", gradient=True),
            "*.M_init": Parameter("memory_init", value=False, change_every=RANK_EVERY),
        },
        rank=Rank("*.M_init", every=RANK_EVERY),
    )


def make_optimizer(model: AtlasLanguageModel) -> torch.optim.Optimizer:
    """AdamW. The mixers' single numbers learn faster, so that a short run shows them move."""
    mixers = [parameter for name, parameter in model.named_parameters() if name.endswith(".alpha_logit")]
    rest = [parameter for name, parameter in model.named_parameters() if not name.endswith(".alpha_logit")]
    groups = [
        {"params": rest, "lr": LEARNING_RATE, "weight_decay": 0.01},
        {"params": mixers, "lr": MIXER_LEARNING_RATE, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, betas=(0.9, 0.95), fused=True)


def _learning_rate(step: int, steps: int) -> float:
    """Linear warm-up, then a cosine down to a tenth, as a factor."""
    warm = min(1.0, (step + 1) / WARMUP_STEPS)
    return warm * (0.55 + 0.45 * math.cos(math.pi * min(1.0, step / max(1, steps))))


def _validate(model: AtlasLanguageModel, corpus: Corpus, step: int, logger: Logger, reporter: Reporter) -> float:
    """Perplexity per byte of held-out text, read from its beginning with the memories carried along."""
    model.eval()
    losses = []
    with torch.no_grad():
        memories = model.initial_memories(BATCH)
        windows = streams(corpus.held_out, BATCH, model.config.context)
        for inputs, targets in islice(windows, VALIDATION_WINDOWS):
            logits, memories = model(inputs, memories)
            losses.append(F.cross_entropy(logits.flatten(0, 1), targets.flatten()).item())
    model.train()
    loss = sum(losses) / len(losses)
    logger.log_many(step, {"val/loss": loss, "val/ppl": math.exp(loss)})
    reporter.validated(step, math.exp(loss))
    return math.exp(loss)
