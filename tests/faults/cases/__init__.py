"""The cases: one module for each kind of fault."""

from tests.faults.case import Case
from tests.faults.cases import (
    clock,
    damage,
    failing_calls,
    folders,
    forks,
    kill,
    kill_points,
    out_of_memory,
    power,
    power_image,
    stopped,
    two_writers,
    versions,
)

MODULES = (
    kill,
    out_of_memory,
    kill_points,
    failing_calls,
    folders,
    power,
    power_image,
    clock,
    stopped,
    forks,
    two_writers,
    damage,
    versions,
)


def all_cases() -> list[Case]:
    """Every case, in the order of the table."""
    return [case for module in MODULES for case in module.cases()]
