"""What a metric is, by its name: tolerant on purpose, since every training script names its losses its own way.

`val/ppl`, `val_ppl`, `validation/perplexity`, `eval/ppl` and `ppl/val` are the validation perplexity.
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
_ONE_THING = {name: group[0] for group in (LOSS, PERPLEXITY, ACCURACY, GRADIENT_NORM, LEARNING_RATE) for name in group}
_MARKS = "mark/"


@dataclass(frozen=True, slots=True)
class Meaning:
    """A name taken apart.

    Attributes:
        split: What was measured on, if the first or last word says it.
        metric: The rest, in lower case, its words joined by `_`.
    """

    split: Split
    metric: str


@lru_cache(maxsize=1 << 14)  # a run's names are looked through for one metric after the other
def meaning(name: str) -> Meaning:
    """Take a name apart."""
    found = words(name)
    for place, rest in ((0, found[1:]), (-1, found[:-1])):
        if rest and found[place] in _SPLITS:
            return Meaning(_SPLITS[found[place]], "_".join(rest))
    return Meaning("", "_".join(found))


def that_mean(names: Iterable[str], metrics: Sequence[str]) -> list[str]:
    """Return the names of one of the metrics, training first; of the metrics the first that any name means."""
    meanings = {name: meaning(name) for name in names if not name.startswith(_MARKS)}
    for metric in metrics:
        found = [name for name, meant in meanings.items() if meant.metric == metric]
        if found:
            return sorted(found, key=lambda name: (_ORDER.index(meanings[name].split), name))
    return []


def find(names: Iterable[str], split: Split, metrics: Sequence[str]) -> str | None:
    """Return the first name, in order, of the first of the metrics on the split; None without one.

    Where the training is looked for, a name without a split will do: `loss` is the training loss.
    """
    meant = {meaning(name): name for name in sorted(names, reverse=True)}
    splits: tuple[Split, ...] = ("train", "") if split == "train" else (split,)
    wanted = (Meaning(one, metric) for one in splits for metric in metrics)
    return next((meant[one] for one in wanted if one in meant), None)


def resolve(names: Iterable[str], wanted: str) -> str | None:
    """Return `wanted` if it is one of the names, else the first, in order, that means the same; None without one."""
    ordered = sorted(names)
    if wanted in ordered:
        return wanted
    return next((name for name in ordered if _one_thing(name) == _one_thing(wanted)), None)


def measures(name: str, metric: str) -> bool:
    """Return whether the metric's words, such as `effective rank`, stand in the name."""
    return f" {metric} " in f" {' '.join(words(name))} "


def _one_thing(name: str) -> tuple[Split, str]:
    """The split, and the metric by the first of its names."""
    meant = meaning(name)
    return meant.split, _ONE_THING.get(meant.metric, meant.metric)
