"""The cases: one module for each kind of fault."""

from tests.faults.case import Case
from tests.faults.cases import failing_calls, kill, kill_points

MODULES = (kill, kill_points, failing_calls)


def all_cases() -> list[Case]:
    """Every case, in the order of the table."""
    return [case for module in MODULES for case in module.cases()]
