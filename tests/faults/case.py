"""Cases, and the outcome of a trial."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.faults.trial import Trial


class Setting(Enum):
    """The number of trials: all of them, some minutes of them, or the few that run with the tests."""

    FULL = "full"
    QUICK = "quick"
    SMALL = "small"


class Hang(AssertionError):  # noqa: N818 - a failed check, counted separately
    """A wait exceeded its deadline."""


class Unavailable(Exception):  # noqa: N818 - not an error: the case is skipped
    """The fault cannot be injected on this machine."""


@dataclass
class Outcome:
    """The outcome of one trial."""

    faults: int = 0
    """How often the fault was injected."""
    checked: int = 0
    """How many acknowledged points were looked up."""
    lost: int = 0
    invented: int = 0
    hangs: int = 0
    failure: str | None = None
    """The failed check, if any."""
    measured: dict[str, list[float]] = field(default_factory=dict)
    """Measurements for the table's remark."""

    def measure(self, what: str, value: float) -> None:
        """Add a measurement for the remark."""
        self.measured.setdefault(what, []).append(value)


def no_plan(_setting: Setting) -> None:
    """Return no plan: trials differ only in their seed."""


@dataclass(frozen=True)
class Case:
    """One kind of fault."""

    name: str
    """The argument of `--only`: the group, a slash, and a short name without spaces."""
    what: str
    """The fault in a few words, for the table."""
    attempt: Callable[["Trial"], None]
    """Runs one trial; any exception is a failure."""
    trials: dict[Setting, int]
    """The number of trials for each setting; with a plan, the maximum."""
    plan: Callable[[Setting], Sequence[Any] | None] = no_plan
    """Returns the `parameter` of each trial, if trials differ in more than their seed."""
    remark: Callable[[dict[str, list[float]]], str] = lambda _measured: ""
    """Returns the table's remark, given the measurements of all trials."""
    is_exclusive: bool = False
    """Whether no other trial may run at the same time, because it measures time."""
    check_available: Callable[[], None] = lambda: None
    """Raises `Unavailable` if the fault cannot be injected here."""


def trials(full: int, quick: int, small: int = 0) -> dict[Setting, int]:
    """Return the number of trials by setting."""
    return {Setting.FULL: full, Setting.QUICK: quick, Setting.SMALL: small}
