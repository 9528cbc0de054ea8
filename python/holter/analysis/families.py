"""Families: series that are one metric of many layers, found by their names.

Names come from users, frameworks and torch's parameters, so the layer's number may stand anywhere: `entropy/layer_3`,
`layer_3/entropy`, `grad_norm/blocks.3.attention.q.weight`. Names are untrusted: whatever they hold, the time is linear
in their length.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

NaturalKey: TypeAlias = tuple[tuple[str | tuple[int, str], ...], str]

_DIGITS = re.compile(r"([0-9]+)")
# `layer_`, `layer`, `layers.`, `blocks/`, and GPT-2's `h.`, each by itself, with a number behind it.
_WORD = r"(?<![A-Za-z0-9])((?:layer|block|head|expert|level|stage|rank)s?[._/-]?|h[./])"
_NUMBERED_WORD = re.compile(rf"{_WORD}[0-9]+(?![A-Za-z0-9])", re.IGNORECASE)
# A number by itself between dots or slashes, as in `encoder.3.weight`; not one half of `quantile/0.95`.
_NUMBER_ALONE = re.compile(r"(?<![^./])(?<![0-9]\.)[0-9]+(?![^./])(?!\.[0-9]+(?:/|$))")
_STAR = "\0"
"""Stands for a layer's number: a character that no name can hold."""
_STARRED_WORD = re.compile(rf"{_WORD}{_STAR}[._/-]?", re.IGNORECASE)
_GLOB_SPECIAL = re.compile(r"([*?[])")


@dataclass(frozen=True, slots=True)
class Family:
    """Series whose names differ in the number of the layer (or block, head, expert) alone.

    Attributes:
        pattern: A pattern for `Run.names` and its kin that matches them all: the name with `*` for each number. It may
            match others as well, since a pattern's `*` matches dots and slashes; `names` is what belongs together.
        label: The name without the layer, as a chart's title: `entropy/layer_*` is "entropy". No two families have
            the same.
        names: The series, in the order of their layers; at least two.
    """

    pattern: str
    label: str
    names: tuple[str, ...]


def families(names: Iterable[str]) -> list[Family]:
    """Return the families among the names, in natural order of their patterns.

    A number is a layer's if it follows a word such as `layer`, `block`, `head` or `expert` (all of these in one
    name are), or else if it is the first that stands by itself between dots or slashes. A name that has no sibling is
    in no family.

    Args:
        names: Series names, in any order; one that comes twice counts once.
    """
    members: dict[str, set[str]] = {}
    for name in names:
        starred = _starred(name)
        if starred is not None:
            members.setdefault(starred, set()).add(name)
    groups = {starred: group for starred, group in members.items() if len(group) > 1}
    labels = {starred: _label(starred) for starred in groups}
    uses = Counter(labels.values())
    found = []
    for starred in sorted(groups, key=natural_key):
        label = labels[starred] if uses[labels[starred]] == 1 else _plain(starred)
        found.append(Family(_pattern(starred), label, tuple(sorted(groups[starred], key=natural_key))))
    return found


def natural_key(name: str) -> NaturalKey:
    """Return a key that sorts numbers in names by their size: `layer_2` before `layer_10`.

    Names that differ in leading zeros alone are still in a fixed order.
    """
    pieces = _DIGITS.split(name)
    # A number as its length and digits: compared like the number, and no limit of int() on a name of 10 KB of digits.
    sizes = [(len(digits), digits) for digits in (piece.lstrip("0") for piece in pieces[1::2])]
    texts: list[str | tuple[int, str]] = list(pieces)
    texts[1::2] = sizes
    return tuple(texts), name


def _starred(name: str) -> str | None:
    """The name with `_STAR` for its layer's numbers; None if it has none."""
    starred, count = _NUMBERED_WORD.subn(rf"\g<1>{_STAR}", name)
    if not count:
        starred, count = _NUMBER_ALONE.subn(_STAR, name, count=1)
    return starred if count else None


def _pattern(starred: str) -> str:
    return _GLOB_SPECIAL.sub(r"[\1]", starred).replace(_STAR, "*")


def _plain(starred: str) -> str:
    return starred.replace(_STAR, "*")


def _label(starred: str) -> str:
    """The name without the words that are numbered; whole if nothing else would be left, or a number has no word."""
    label = _plain(_STARRED_WORD.sub("", starred))
    return label.strip("./_-") or _plain(starred)
