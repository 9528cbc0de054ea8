"""Recognition of metrics by name, tolerant because naming conventions differ between training scripts.

`val/ppl`, `val_ppl`, `validation/perplexity`, `eval/ppl` and `ppl/val` all mean the validation perplexity.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

from holter._direction import words

Split: TypeAlias = Literal["train", "val", "test", ""]

LOSS = ("loss", "nll", "ce", "cross_entropy", "total_loss")
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

_SPLITS: dict[str, Split] = {
    **dict.fromkeys(("train", "training", "tr"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "eval", "evaluation", "dev", "heldout"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_ORDER: tuple[Split, ...] = ("train", "", "val", "test")
_CANONICAL = {name: group[0] for group in (LOSS, PERPLEXITY, ACCURACY, GRADIENT_NORM, LEARNING_RATE) for name in group}
_MARKS = "mark/"


@dataclass(frozen=True, slots=True)
class Meaning:
    """The parsed name of a series.

    Attributes:
        split: The data split, if the first or last word names one.
        metric: The other words in lower case, joined by `_`.
    """

    split: Split
    metric: str


@lru_cache(maxsize=1 << 14)  # a run's names are searched for several metrics
def meaning(name: str) -> Meaning:
    """Parse a name."""
    found = words(name)
    for place, rest in ((0, found[1:]), (-1, found[:-1])):
        if rest and found[place] in _SPLITS:
            return Meaning(_SPLITS[found[place]], "_".join(rest))
    return Meaning("", "_".join(found))


def names_for_metric(names: Iterable[str], metrics: Sequence[str]) -> list[str]:
    """Return the names of the first of the metrics that has any, training split first."""
    meanings = {name: meaning(name) for name in names if not name.startswith(_MARKS)}
    for metric in metrics:
        found = [name for name, meant in meanings.items() if meant.metric == metric]
        if found:
            return sorted(found, key=lambda name: (_ORDER.index(meanings[name].split), name))
    return []


def find(names: Iterable[str], split: Split, metrics: Sequence[str]) -> str | None:
    """Return the alphabetically first name of the first of the metrics on the split; None if there is none.

    For the training split, names without a split match too: `loss` is the training loss.
    """
    by_meaning = {meaning(name): name for name in sorted(names, reverse=True)}
    splits: tuple[Split, ...] = ("train", "") if split == "train" else (split,)
    candidates = (Meaning(candidate, metric) for candidate in splits for metric in metrics)
    return next((by_meaning[candidate] for candidate in candidates if candidate in by_meaning), None)


def resolve(names: Iterable[str], wanted: str) -> str | None:
    """Return `wanted` if it is among the names, else the alphabetically first synonym; None if there is none."""
    ordered = sorted(names)
    if wanted in ordered:
        return wanted
    return next((name for name in ordered if _canonical(name) == _canonical(wanted)), None)


def measures(name: str, metric: str) -> bool:
    """Return whether the name contains the words of the metric, such as `effective rank`."""
    return f" {metric} " in f" {' '.join(words(name))} "


def _canonical(name: str) -> tuple[Split, str]:
    """The split, and the canonical name of the metric."""
    parsed = meaning(name)
    return parsed.split, _CANONICAL.get(parsed.metric, parsed.metric)
