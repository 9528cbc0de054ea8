"""How the comparison writes numbers, steps and names, as a paper would.

Names and settings come from a run's files: a character that a terminal would obey is written as an escape.
"""

import json
import math
from typing import Any

ABSENT = "–"
_MAX_SETTING = 80


def number(value: float) -> str:
    """Four significant digits, all of an integer part, an exponent only for what is huge or tiny."""
    if not math.isfinite(value):
        return repr(float(value))
    return f"{value:.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.4g}"


def spread(value: float) -> str:
    """What stands behind a ±: two significant digits, and all of an integer part."""
    return f"{value:.0f}" if 10 <= value < 1e9 else f"{value:.2g}"


def step_label(step: int) -> str:
    """5000 as "5K", 2500000 as "2.5M", 4950 as itself."""
    for size, letter in ((1_000_000, "M"), (1000, "K")):
        if step >= size and step % (size // 10) == 0:
            return f"{step / size:g}{letter}"
    return str(step)


def visible(text: str) -> str:
    r"""The text with each character that cannot be seen as an escape such as `\x1b`."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def setting(value: Any) -> str:
    """A value of the configuration: strings as they are, anything else as JSON, long ones cut."""
    text = visible(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return text if len(text) <= _MAX_SETTING else f"{text[: _MAX_SETTING - 1]}…"
