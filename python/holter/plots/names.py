"""What series are called by whoever logs them: the split, the metric, and the few metrics that everybody wants first.

Tolerant on purpose: `train/loss`, `train_loss`, `loss/train`, `eval/loss` and `loss` are the loss of some split.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holter.plots.marks import MARK_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable

_SPLITS = {
    "train": ("train", "training", "tr"),
    "val": ("val", "valid", "validation", "eval", "evaluation", "dev", "heldout", "held-out"),
    "test": ("test", "testing"),
}
_SPLIT_OF = {word: split for split, words in _SPLITS.items() for word in words}
_SEPARATORS = "/_.-:"
_WORDS = re.compile(r"[a-z0-9]+")
# A name longer than this is not one that people give to a loss.
_LONGEST = 200

LOSS = ("loss", "nll", "cross_entropy", "total_loss")
PERPLEXITY = ("ppl", "perplexity")
ACCURACY = ("accuracy", "acc")
GRADIENT_NORM = (
    "grad_norm_total",
    "total_grad_norm",
    "grad_norm",
    "gradient_norm",
    "global_grad_norm",
    "grad_norm_global",
)
LEARNING_RATE = ("learning_rate", "lr")


@dataclass(frozen=True, slots=True)
class Meaning:
    """A name taken apart.

    Attributes:
        split: `"train"`, `"val"` or `"test"`; empty if the name says none.
        metric: The rest, in lower case, its words joined by `_`.
    """

    split: str
    metric: str


def meaning(name: str) -> Meaning:
    """Take a name apart."""
    text = name[:_LONGEST].lower()
    for word, split in _SPLIT_OF.items():
        if text.startswith(word) and text[len(word) : len(word) + 1] in tuple(_SEPARATORS):
            return Meaning(split, _joined(text[len(word) + 1 :]))
        if text.endswith(word) and text[: -len(word)][-1:] in tuple(_SEPARATORS):
            return Meaning(split, _joined(text[: -len(word) - 1]))
    return Meaning("", _joined(text))


def that_mean(names: Iterable[str], metrics: tuple[str, ...]) -> list[str]:
    """Return the names of one of the metrics, training first; of the metrics the first that any name means."""
    order = ["train", "", "val", "test"]
    meanings = {name: meaning(name) for name in names if not name.startswith(MARK_PREFIX)}
    for metric in metrics:
        found = [name for name, meant in meanings.items() if meant.metric == metric]
        if found:
            return sorted(found, key=lambda name: (order.index(meanings[name].split), name))
    return []


def _joined(text: str) -> str:
    return "_".join(_WORDS.findall(text))
