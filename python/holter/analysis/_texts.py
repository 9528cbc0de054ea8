"""Formats of numbers, steps and settings in a comparison."""

import json
import math
from typing import Any

from holter._text import shortened, visible

ABSENT = "–"
_MAX_SETTING = 80


def number(value: float) -> str:
    """Format a number with four significant digits, a complete integer part, and an exponent only if huge or tiny."""
    if not math.isfinite(value):
        return repr(float(value))
    return f"{value:.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.4g}"


def spread(value: float) -> str:
    """Format a standard deviation with two significant digits and a complete integer part."""
    return f"{value:.0f}" if 10 <= value < 1e9 else f"{value:.2g}"


def step_label(step: int) -> str:
    """Format a step: 5000 as "5K", 2500000 as "2.5M", 4950 as "4950"."""
    for size, letter in ((1_000_000, "M"), (1000, "K")):
        if step >= size and step % (size // 10) == 0:
            return f"{step / size:g}{letter}"
    return str(step)


def setting(value: Any) -> str:
    """Format a configuration value: strings unchanged, anything else as JSON, shortened to 80 characters."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return shortened(visible(text), _MAX_SETTING)
