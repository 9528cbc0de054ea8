"""Alert rules: their arguments and validation. The core evaluates them."""

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import ClassVar

from holter.alerts._alert import LEVELS

__all__ = ["Above", "Below", "NonFinite", "Plateau", "Rule", "Spike", "rules_json"]


@dataclass(frozen=True)
class Rule:
    """Base class of all rules.

    Attributes:
        pattern: Selects the series, as in `Run.names`.
        level: `"info"`, `"warning"` or `"error"`.
        stop: Whether the rule makes `logger.should_stop` True.

    Raises:
        TypeError, ValueError: If an argument has the wrong type or is out of range.
    """

    kind: ClassVar[str] = ""

    pattern: str
    level: str = "warning"
    stop: bool = False

    def __post_init__(self) -> None:
        """Validate the common arguments."""
        if not isinstance(self.pattern, str):
            raise TypeError(f"pattern must be a str, got {type(self.pattern).__name__} {self.pattern!r}")
        if any("\ud800" <= letter <= "\udfff" for letter in self.pattern):
            raise ValueError(f"pattern must be valid Unicode, got {self.pattern!r}")
        if not isinstance(self.stop, bool):
            raise TypeError(f"stop must be a bool, got {type(self.stop).__name__} {self.stop!r}")
        if self.level not in LEVELS:
            raise ValueError(f"level must be one of {LEVELS}, got {self.level!r}")


@dataclass(frozen=True)
class NonFinite(Rule):
    """A value that is NaN or infinite. Can fire again after a finite value."""

    kind: ClassVar[str] = "non_finite"

    pattern: str = "*"
    level: str = "error"


@dataclass(frozen=True)
class Spike(Rule):
    """A value far from the series' exponential mean, in exponential standard deviations.

    The mean and variance are plain averages at first; they become exponential as soon as that gives a new value more
    weight. A spike enters them clipped to the limit. Non-finite values are ignored, and a constant series has no
    spikes.

    Attributes:
        sigmas: The limit, in standard deviations.
        half_life: The number of points after which the weight of a value halves.
        warmup: The number of points that a series needs before the rule can fire.
    """

    kind: ClassVar[str] = "spike"

    sigmas: float = 6.0
    half_life: float = 200.0
    warmup: int = 100

    def __post_init__(self) -> None:
        """Validate the numbers."""
        super().__post_init__()
        _check_number("sigmas", self.sigmas, positive=True)
        _check_number("half_life", self.half_life, positive=True)
        _check_count("warmup", self.warmup)


@dataclass(frozen=True, kw_only=True)
class Below(Rule):
    """Values below a threshold over a number of steps. NaN is not below.

    Attributes:
        threshold: The exclusive upper limit of the values.
        steps: Length of the range from the first step to the last, inclusive; 1 fires at the first value.
    """

    kind: ClassVar[str] = "below"

    threshold: float
    steps: int = 1

    def __post_init__(self) -> None:
        """Validate the numbers."""
        super().__post_init__()
        _check_number("threshold", self.threshold)
        _check_count("steps", self.steps)


@dataclass(frozen=True, kw_only=True)
class Above(Below):
    """Values above a threshold over a number of steps. NaN is not above; see `Below`."""

    kind: ClassVar[str] = "above"


@dataclass(frozen=True, kw_only=True)
class Plateau(Rule):
    """Values that stay close to the first of them over a number of steps.

    A value outside the tolerance, or a non-finite one, ends the range and starts the next.

    Attributes:
        steps: Length of the range from the first step to the last, inclusive.
        tolerance: Maximum distance from the first value of the range; 0 requires equal values.
    """

    kind: ClassVar[str] = "plateau"

    steps: int
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        """Validate the numbers."""
        super().__post_init__()
        _check_count("steps", self.steps)
        _check_number("tolerance", self.tolerance)
        if self.tolerance < 0:
            raise ValueError(f"tolerance must be 0 or more, got {self.tolerance!r}")


def rules_json(rules: Iterable[Rule]) -> str:
    """Serialize the rules for the core, as a JSON array of objects.

    Raises:
        TypeError: If an element is not a rule.
    """
    if not isinstance(rules, Iterable):
        raise TypeError(f"alerts must be a sequence of rules from holter.alerts, got {rules!r}")
    rules = list(rules)
    for rule in rules:
        if not isinstance(rule, Rule) or not rule.kind:
            raise TypeError(f"alerts must be rules such as holter.alerts.NonFinite(), got {rule!r}")
    return json.dumps([{"rule": rule.kind, **asdict(rule)} for rule in rules], allow_nan=False)


def _check_number(argument: str, value: float, *, positive: bool = False) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{argument} must be a number, got {type(value).__name__} {value!r}")
    try:
        is_finite = math.isfinite(value)
    except OverflowError:  # an int that no float can represent
        is_finite = False
    if not is_finite or (positive and value <= 0):
        expected = "finite and above 0" if positive else "finite"
        raise ValueError(f"{argument} must be {expected}, got {value!r}")


def _check_count(argument: str, value: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{argument} must be an int, got {type(value).__name__} {value!r}")
    if not 1 <= value < 1 << 63:
        raise ValueError(f"{argument} must be at least 1 and below 2**63, got {value}")
