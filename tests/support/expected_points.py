"""The points that must survive a fault: the oracle of the fault tests.

A point whose `log` had returned must be present with its value; a point whose call was running may be present; no
other point may. Values are compared bit by bit, except for NaN payloads and the sign of zero, which SQLite does not
store.
"""

from dataclasses import dataclass, field

from recording_child import SERIES, Page, Workload
from run_files import Points, same

Key = tuple[str, int]


@dataclass
class Difference:
    """The difference between the points found and the expected points."""

    lost: list[Key] = field(default_factory=list)
    """Missing points."""
    invented: list[Key] = field(default_factory=list)
    """Points that were never logged, or with a different value."""

    def __bool__(self) -> bool:
        return bool(self.lost or self.invented)

    def __str__(self) -> str:
        return (
            f"{len(self.lost)} points lost, such as {self.lost[:5]}; "
            f"{len(self.invented)} points invented, such as {self.invented[:5]}"
        )


@dataclass
class Expectation:
    """The allowed values of each point; None if it may also be absent."""

    values: dict[Key, list[float | None]] = field(default_factory=dict)
    acknowledged: int = 0

    def add(self, workload: Workload, page: Page) -> None:
        """Add the points that a process had logged when it died."""
        for thread in range(workload.threads):
            count = page.acknowledged(thread)
            dropped = workload.dropped()
            self.acknowledged += count - len(dropped)
            for index, (name, step, value) in enumerate(workload.points(thread)):
                if index in dropped:
                    continue
                if index < count:
                    self.values[name, step] = [value]
                elif index < count + SERIES:  # The running call may have logged any of its points.
                    self.values[name, step] = [*self.values.get((name, step), [None]), value]
                else:
                    break

    def compare(self, found: Points) -> Difference:
        """Compare the points found with the expected points."""
        difference = Difference()
        for key, values in self.values.items():
            if key not in found and None not in values:
                difference.lost.append(key)
        for key, value in found.items():
            allowed = self.values.get(key, [])
            if not any(other is not None and same(value, other) for other in allowed):
                difference.invented.append(key)
        return difference

    def replace(self, found: Points) -> None:
        """Expect exactly these points from now on."""
        self.values = {key: [value] for key, value in found.items()}
