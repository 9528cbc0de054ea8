"""Families: series of the same metric in several layers, recognized by name.

Names come from users, frameworks and torch's parameters, so the layer number may be anywhere: `entropy/layer_3`,
`layer_3/entropy`, `grad_norm/blocks.3.attention.q.weight`. Names are untrusted: matching takes time linear in their
length.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

NaturalKey: TypeAlias = tuple[tuple[str | tuple[int, str], ...], str]

_DIGITS = re.compile(r"([0-9]+)")
# `layer_`, `layer`, `layers.`, `blocks/`, and GPT-2's `h.`, each a separate word followed by a number.
_WORD = r"(?<![A-Za-z0-9])((?:layer|block|head|expert|level|stage|rank)s?[._/-]?|h[./])"
_NUMBERED_WORD = re.compile(rf"{_WORD}[0-9]+(?![A-Za-z0-9])", re.IGNORECASE)
# A number alone between dots or slashes, as in `encoder.3.weight`; not the decimals of `quantile/0.95`.
_NUMBER_ALONE = re.compile(r"(?<![^./])(?<![0-9]\.)[0-9]+(?![^./])(?!\.[0-9]+(?:/|$))")
_STAR = "\0"
"""Placeholder for a layer number: a character that names cannot contain."""
_STARRED_WORD = re.compile(rf"{_WORD}{_STAR}[._/-]?", re.IGNORECASE)
_GLOB_SPECIAL = re.compile(r"([*?[])")


@dataclass(frozen=True, slots=True)
class Family:
    """Series whose names differ only in the number of the layer (or block, head, expert).

    Attributes:
        pattern: A pattern for `Run.names` that matches all members: the name with `*` for each number. It may match
            other names too, since `*` matches dots and slashes; use `names` for the exact members.
        label: The name without the layer, for a chart's title: `entropy/layer_*` is "entropy". Unique among families.
        names: The members in the order of their layers; at least two.
    """

    pattern: str
    label: str
    names: tuple[str, ...]


def families(names: Iterable[str]) -> list[Family]:
    """Return the families among the names, in natural order of their patterns.

    Numbers that follow a word such as `layer`, `block`, `head` or `expert` are layer numbers; without such a word, the
    first number alone between dots or slashes is. A name without siblings belongs to no family.

    Args:
        names: Series names, in any order. Duplicates count once.
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
    """Return a sort key that orders numbers in names by value: `layer_2` before `layer_10`.

    Names that differ only in leading zeros have different keys, so the order is total.
    """
    pieces = _DIGITS.split(name)
    # (length, digits) compares like the number and avoids int()'s limit of digits for a name of 10 KB of digits.
    sizes = [(len(digits), digits) for digits in (piece.lstrip("0") for piece in pieces[1::2])]
    texts: list[str | tuple[int, str]] = list(pieces)
    texts[1::2] = sizes
    return tuple(texts), name


def _starred(name: str) -> str | None:
    """The name with `_STAR` for its layer numbers; None if it has none."""
    starred, count = _NUMBERED_WORD.subn(rf"\g<1>{_STAR}", name)
    if not count:
        starred, count = _NUMBER_ALONE.subn(_STAR, name, count=1)
    return starred if count else None


def _pattern(starred: str) -> str:
    return _GLOB_SPECIAL.sub(r"[\1]", starred).replace(_STAR, "*")


def _plain(starred: str) -> str:
    return starred.replace(_STAR, "*")


def _label(starred: str) -> str:
    """The name without its numbered words; the complete name if nothing else is left or a number has no word."""
    label = _plain(_STARRED_WORD.sub("", starred))
    return label.strip("./_-") or _plain(starred)
