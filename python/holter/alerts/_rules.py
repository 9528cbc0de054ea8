"""The rules: what series are watched for. They are judged in the core; here they are made, checked and passed on."""

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import ClassVar

from holter.alerts._alert import LEVELS

__all__ = ["Above", "Below", "NonFinite", "Plateau", "Rule", "Spike", "rules_json"]


@dataclass(frozen=True)
class Rule:
    """What all rules have in common.

    Attributes:
        pattern: Which series, as in `Run.names`.
        level: `"info"`, `"warning"` or `"error"`.
        stop: Whether the rule makes `logger.should_stop` True.

    Raises:
        TypeError, ValueError: If an argument is of the wrong type or out of its range.
    """

    kind: ClassVar[str] = ""

    pattern: str
    level: str = "warning"
    stop: bool = False

    def __post_init__(self) -> None:
        """Check what every rule has."""
        if not isinstance(self.pattern, str):
            raise TypeError(f"pattern must be a str, got {type(self.pattern).__name__} {self.pattern!r}")
        if any("\ud800" <= letter <= "\udfff" for letter in self.pattern):
            raise ValueError(f"pattern must be text that UTF-8 can say, got {self.pattern!r}")
        if not isinstance(self.stop, bool):
            raise TypeError(f"stop must be a bool, got {type(self.stop).__name__} {self.stop!r}")
        if self.level not in LEVELS:
            raise ValueError(f"level must be one of {LEVELS}, got {self.level!r}")


@dataclass(frozen=True)
class NonFinite(Rule):
    """A value that is NaN or infinite. Speaks again after a finite one."""

    kind: ClassVar[str] = "non_finite"

    pattern: str = "*"
    level: str = "error"


@dataclass(frozen=True)
class Spike(Rule):
    """A value far from the series' exponential mean, by its exponential standard deviation.

    Mean and variance are plain ones at first and exponential ones from when those weigh a new value more. A spike
    counts in them as if it were just at the limit. Values that are not finite are left out, and a series that has
    never varied has no spikes.

    Attributes:
        sigmas: How many standard deviations.
        half_life: After how many points an old value weighs half as much.
        warmup: How many points a series must have before its next one is judged.
    """

    kind: ClassVar[str] = "spike"

    sigmas: float = 6.0
    half_life: float = 200.0
    warmup: int = 100

    def __post_init__(self) -> None:
        """Check the numbers."""
        super().__post_init__()
        _check_number("sigmas", self.sigmas, positive=True)
        _check_number("half_life", self.half_life, positive=True)
        _check_count("warmup", self.warmup)


@dataclass(frozen=True, kw_only=True)
class Below(Rule):
    """Values that are below a threshold for so many steps in a row. NaN is not below.

    Attributes:
        threshold: The values have to be smaller than this.
        steps: From the first such step to the last, both counted; 1 speaks at the first value.
    """

    kind: ClassVar[str] = "below"

    threshold: float
    steps: int = 1

    def __post_init__(self) -> None:
        """Check the numbers."""
        super().__post_init__()
        _check_number("threshold", self.threshold)
        _check_count("steps", self.steps)


@dataclass(frozen=True, kw_only=True)
class Above(Below):
    """Values that are above a threshold for so many steps in a row. NaN is not above; see `Below`."""

    kind: ClassVar[str] = "above"


@dataclass(frozen=True, kw_only=True)
class Plateau(Rule):
    """Values that stay within a distance of the first of them for so many steps in a row.

    A value further away, or one that is not finite, ends the stretch; the next stretch begins with it.

    Attributes:
        steps: From the first step to the last, both counted.
        tolerance: How far from the stretch's first value the others may be; with 0 they are equal.
    """

    kind: ClassVar[str] = "plateau"

    steps: int
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        """Check the numbers."""
        super().__post_init__()
        _check_count("steps", self.steps)
        _check_number("tolerance", self.tolerance)
        if self.tolerance < 0:
            raise ValueError(f"tolerance must be 0 or more, got {self.tolerance!r}")


def rules_json(rules: Iterable[Rule]) -> str:
    """Return the rules as the core takes them: a JSON array of objects.

    Raises:
        TypeError: If something is no rule.
    """
    if not isinstance(rules, Iterable):
        raise TypeError(f"alerts must be a sequence of rules from holter.alerts, got {rules!r}")
    rules = list(rules)
    for rule in rules:
        if not isinstance(rule, Rule) or not rule.kind:
            raise TypeError(f"alerts must be rules such as holter.alerts.NonFinite(), got {rule!r}")
    texts = [{"rule": rule.kind, **asdict(rule)} for rule in rules]
    return json.dumps(texts, allow_nan=False)


def _check_number(argument: str, value: float, *, positive: bool = False) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{argument} must be a number, got {type(value).__name__} {value!r}")
    try:
        is_finite = math.isfinite(value)
    except OverflowError:  # an int beyond all floats
        is_finite = False
    if not is_finite or (positive and value <= 0):
        expected = "finite and above 0" if positive else "finite"
        raise ValueError(f"{argument} must be {expected}, got {value!r}")


def _check_count(argument: str, value: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{argument} must be an int, got {type(value).__name__} {value!r}")
    if not 1 <= value < 1 << 63:
        raise ValueError(f"{argument} must be at least 1 and below 2**63, got {value}")
