"""The cases, one module per kind of fault."""

from tests.faults.case import Case
from tests.faults.cases import (
    clock,
    damage,
    failing_calls,
    fallocate,
    folders,
    forks,
    full_disk,
    kill,
    kill_points,
    long_reader,
    out_of_memory,
    power,
    power_image,
    stalled,
    stopped,
    two_writers,
    versions,
)

MODULES = (
    kill,
    out_of_memory,
    kill_points,
    failing_calls,
    fallocate,
    full_disk,
    stalled,
    long_reader,
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
    """Return every case, in the order of the table."""
    return [case for module in MODULES for case in module.cases()]
