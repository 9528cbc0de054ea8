"""Whether lower or higher values of a metric are better, derived from its name."""

import re
from typing import Literal, TypeAlias

__all__ = ["Better", "direction", "words"]

Better: TypeAlias = Literal["lower", "higher"] | None

_LOWER_IS_BETTER = {"loss", "nll", "ce", "ppl", "perplexity", "error", "err", "bpb", "bpc", "mse", "mae", "rmse"}
_HIGHER_IS_BETTER = {"acc", "accuracy", "f1", "auc", "auroc", "bleu", "rouge", "reward", "precision", "recall"}
_WORDS = re.compile(r"[a-z0-9]+")
_HELD_OUT = re.compile(r"held[-_]out")
_MAX_LENGTH = 200
"""Names of common metrics are shorter; the rest of a longer name is ignored."""


def direction(name: str) -> Better:
    """Return whether lower or higher is better for the metric `name`; None if the name has no known word."""
    found = set(words(name))
    if found & _LOWER_IS_BETTER:
        return "lower"
    return "higher" if found & _HIGHER_IS_BETTER else None


def words(name: str) -> list[str]:
    """Return the words of a metric's name in lower case."""
    return _WORDS.findall(_HELD_OUT.sub("heldout", name[:_MAX_LENGTH].lower()))
