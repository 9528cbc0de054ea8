"""Rules that watch a run's series while it is recorded, and what they say.

    from holter import alerts

    rules = [
        alerts.NonFinite(stop=True),
        alerts.Spike("train/loss"),
        alerts.Below("tanh_input/*", threshold=0.1, steps=1000),
    ]
    with holter.Logger("runs/run-2", alerts=rules) as logger:
        for step, batch in enumerate(loader):
            logger.log(step, "train/loss", train_step(model, batch))
            if logger.should_stop:
                break

A rule keeps a state for each series that its pattern matches, so that a healthy layer never hides a sick one. It
speaks once when its condition begins, and again only after the condition has ended. The points are judged by the
recording thread, in the order in which each series was logged; a step that is not past the ones of its series before
it is not judged. `logger.alerts` and `Run.events` are what was said.
"""

import datetime as dt
import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

__all__ = ["Above", "Alert", "Below", "NonFinite", "Plateau", "Rule", "Spike"]

_LEVELS = ("info", "warning", "error")


@dataclass(frozen=True)
class Alert:
    """What a rule said, once.

    Attributes:
        time: When the point was logged, UTC.
        level: `"info"`, `"warning"` or `"error"`.
        series: The series; None where the event is about the run's events as a whole.
        step: The point's step; None as `series`.
        value: The point's value; None as `series`.
        rule: The rule's kind, as in `"spike"`; `"limit"` is the last event of a run that had too many.
        stop: Whether the rule asks the training to stop.
        message: What happened, in words.
    """

    time: dt.datetime
    level: str
    series: str | None
    step: int | None
    value: float | None
    rule: str
    stop: bool
    message: str


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
        if self.level not in _LEVELS:
            raise ValueError(f"level must be one of {_LEVELS}, got {self.level!r}")


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


def alerts_of_lines(lines: Iterable[str]) -> list[Alert]:
    """Return the alerts that the lines of an events file tell of; what is no such line is left out."""
    return [alert for line in lines if (alert := _alert(line)) is not None]


def _alert(line: str) -> Alert | None:
    try:
        found: dict[str, Any] = json.loads(line)
        value = found["value"]
        return Alert(
            time=dt.datetime.strptime(found["time"], "%Y-%m-%dT%H:%M:%S.%f%z"),
            level=str(found["level"]),
            series=found["series"],
            step=found["step"],
            value=None if value is None else float(value),
            rule=str(found["rule"]),
            stop=bool(found["stop"]),
            message=str(found["message"]),
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


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
