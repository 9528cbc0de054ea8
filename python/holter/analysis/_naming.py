"""What a metric is, by its name: tolerant on purpose, since every training script names its losses its own way.

`val/ppl`, `val_ppl`, `validation/perplexity`, `eval/ppl` and `ppl/val` are the validation perplexity.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal, TypeAlias

Better: TypeAlias = Literal["lower", "higher"] | None
Split: TypeAlias = Literal["val", "train"]
Metric: TypeAlias = Literal["ppl", "loss"]

_SPLITS = {
    **dict.fromkeys(("val", "valid", "validation", "eval", "evaluation", "dev", "heldout"), "val"),
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_METRICS = {"perplexity": "ppl", "nll": "loss", "ce": "loss", "cross entropy": "loss", "total loss": "loss"}
_LOWER_IS_BETTER = {"loss", "nll", "ce", "ppl", "perplexity", "error", "err", "bpb", "bpc", "mse", "mae", "rmse"}
_HIGHER_IS_BETTER = {"acc", "accuracy", "f1", "auc", "auroc", "bleu", "rouge", "reward", "precision", "recall"}
_WORDS = re.compile(r"[a-z0-9]+")
_LONGEST = 200
"""A longer name is not one that people give to a loss."""


def find(names: Iterable[str], split: Split, metric: Metric) -> str | None:
    """Return the first name, in order, of the metric on the split; None without one.

    Where the training is looked for, a name without a split will do: `loss` is the training loss.
    """
    meant = {_meaning(name): name for name in sorted(names, reverse=True)}
    return meant.get((split, metric)) or (meant.get(("", metric)) if split == "train" else None)


def resolve(names: Iterable[str], wanted: str) -> str | None:
    """Return `wanted` if it is one of the names, else the first, in order, that means the same; None without one."""
    ordered = sorted(names)
    if wanted in ordered:
        return wanted
    return next((name for name in ordered if _meaning(name) == _meaning(wanted)), None)


def direction(name: str) -> Better:
    """Return whether lower or higher is better for a metric of this name; None where its name does not tell."""
    words = set(_words(name))
    if words & _LOWER_IS_BETTER:
        return "lower"
    return "higher" if words & _HIGHER_IS_BETTER else None


def measures(name: str, metric: str) -> bool:
    """Return whether the metric's words, such as `effective rank`, stand in the name."""
    return f" {metric} " in f" {' '.join(_words(name))} "


@lru_cache(maxsize=1 << 14)  # a run's names are looked through for one metric after the other
def _meaning(name: str) -> tuple[str, str]:
    """The split, if the first or last word is one, and the metric."""
    words = _words(name)
    for place, rest in ((0, words[1:]), (-1, words[:-1])):
        if rest and words[place] in _SPLITS:
            metric = " ".join(rest)
            return _SPLITS[words[place]], _METRICS.get(metric, metric)
    metric = " ".join(words)
    return "", _METRICS.get(metric, metric)


def _words(name: str) -> list[str]:
    return _WORDS.findall(name[:_LONGEST].lower())
