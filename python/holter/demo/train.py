"""The demo's training loop: an example of a loop with all vital signs recorded.

Only a few lines use Holter: `watch` before the loop, `clip_grad_norm_` in place of torch's, and `log_many` for the
loss and the learning rate.
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
MAX_GRADIENT_NORM = 1.0
VALIDATION_EVERY = 50
VALIDATION_WINDOWS = 12
RANK_EVERY = 25


class Reporter(Protocol):
    """Receives progress updates."""

    def step(self, step: int, loss: float) -> None:
        """Report a completed step."""

    def validated(self, step: int, perplexity: float) -> None:
        """Report the perplexity of the held-out text."""


@dataclass(frozen=True)
class Outcome:
    """The result of a training.

    Attributes:
        steps: The number of completed steps.
        interrupted: Whether Ctrl-C ended it.
        seconds: Its duration.
        perplexity: Final perplexity per byte of held-out text.
        unigram_perplexity: The same for a model that uses only the byte frequencies.
    """

    steps: int
    interrupted: bool
    seconds: float
    perplexity: float
    unigram_perplexity: float


def train(data: str, steps: int, seed: int, logger: Logger, reporter: Reporter) -> Outcome:
    """Train a model on one of the corpora with everything recorded; Ctrl-C ends it early and cleanly.

    Args:
        data: `prose` or `code`.
        steps: The number of steps.
        seed: The seed for the initial weights. It does not affect the order of the text.
        logger: Records the run.
        reporter: Shows the progress.
    """
    torch.manual_seed(seed)
    corpus = load_corpus(data)
    model = AtlasLanguageModel(ModelConfig())
    optimizer = make_optimizer(model)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _learning_rate(step, steps))
    start = time.monotonic()
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
                vital_signs.clip_grad_norm_(MAX_GRADIENT_NORM)
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
    return Outcome(done, interrupted, time.monotonic() - start, perplexity, corpus.unigram_perplexity())


def watch_everything(model: AtlasLanguageModel, logger: Logger, optimizer: torch.optim.Optimizer) -> Watch:
    """Watch the model with every applicable probe at every step."""
    return watch(
        model,
        logger,
        optimizer,
        attention=Attention(rows=32, every=1),
        probes=[
            # The memory's forward takes (x, matrix before) and returns (read values, matrix after).
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
    """Create AdamW with a higher learning rate for the scalar mixers, so that a short run shows them change."""
    mixers = [parameter for name, parameter in model.named_parameters() if name.endswith(".alpha_logit")]
    rest = [parameter for name, parameter in model.named_parameters() if not name.endswith(".alpha_logit")]
    groups = [
        {"params": rest, "lr": LEARNING_RATE, "weight_decay": 0.01},
        {"params": mixers, "lr": MIXER_LEARNING_RATE, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, betas=(0.9, 0.95), fused=True)


def _learning_rate(step: int, steps: int) -> float:
    """Return the factor of the learning rate: linear warm-up, then cosine decay to a tenth."""
    warm = min(1.0, (step + 1) / WARMUP_STEPS)
    return warm * (0.55 + 0.45 * math.cos(math.pi * min(1.0, step / max(1, steps))))


def _validate(model: AtlasLanguageModel, corpus: Corpus, step: int, logger: Logger, reporter: Reporter) -> float:
    """Return the perplexity per byte of the start of the held-out text."""
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
