"""What a case is, and what comes of a try."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.faults.trial import Try


class Setting(Enum):
    """How much is tried: all of it, some minutes of it, or what the quick tests have room for."""

    FULL = "full"
    QUICK = "quick"
    SMALL = "small"


class Hang(AssertionError):  # noqa: N818 - it is found by something not happening
    """Something did not end in the time that it was given."""


class Unavailable(Exception):  # noqa: N818 - nothing is wrong: the machine cannot make this fault
    """The fault cannot be made here; the text says why."""


@dataclass
class Outcome:
    """What came of one try."""

    faults: int = 0
    """How often the fault was made."""
    checked: int = 0
    """How many points had been acknowledged, and were looked for."""
    lost: int = 0
    invented: int = 0
    hangs: int = 0
    failure: str | None = None
    """What was wrong; `None` if nothing was."""
    measured: dict[str, list[float]] = field(default_factory=dict)
    """Numbers that the table's remark is made of."""

    def measure(self, what: str, value: float) -> None:
        """Keep a number for the remark."""
        self.measured.setdefault(what, []).append(value)


def just_so_often(_setting: Setting) -> None:
    """Plan nothing: each try is like the others but for its seed."""


@dataclass(frozen=True)
class Case:
    """One kind of fault."""

    name: str
    """What `--only` takes: the group, a slash, and a few words without blanks."""
    what: str
    """The fault in a few words, as the table has it."""
    attempt: Callable[["Try"], None]
    """Makes one try; whatever it raises is a failure."""
    tries: dict[Setting, int]
    """How many tries each setting has; at most as many where there is a plan. 0 for none."""
    plan: Callable[[Setting], Sequence[Any] | None] = just_so_often
    """What each try is given as its `parameter`, where tries are more than repetitions."""
    remark: Callable[[dict[str, list[float]]], str] = lambda _measured: ""
    """What else the table says, of all tries' numbers."""
    is_exclusive: bool = False
    """Whether it measures time, and nothing else may run beside it."""
    can_be_made: Callable[[], None] = lambda: None
    """Raises `Unavailable` where the fault cannot be made."""


def tries(full: int, quick: int, small: int = 0) -> dict[Setting, int]:
    """How often each setting tries a case."""
    return {Setting.FULL: full, Setting.QUICK: quick, Setting.SMALL: small}
