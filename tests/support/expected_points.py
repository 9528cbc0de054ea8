"""What a recorder that is killed, or kept from writing, has to have kept: the oracle of the fault tests.

A point whose `log` had returned must be there with its value; one whose call was under way may be there or not;
no other may. Values are compared bit by bit, but for what SQLite does not keep: NaN is any NaN, and zero has no sign.
"""

from dataclasses import dataclass, field

from recording_child import SERIES, Orders, Page
from run_files import Points, same

Key = tuple[str, int]


@dataclass
class Difference:
    """How what was found differs from what may be."""

    lost: list[Key] = field(default_factory=list)
    """Points that must be there and are not."""
    invented: list[Key] = field(default_factory=list)
    """Points that were never logged, or not with this value."""

    def __bool__(self) -> bool:
        return bool(self.lost or self.invented)

    def __str__(self) -> str:
        return (
            f"{len(self.lost)} points are lost, such as {self.lost[:5]}; "
            f"{len(self.invented)} were never logged so, such as {self.invented[:5]}"
        )


@dataclass
class Expectation:
    """For each point the values that it may have; None where it may also be absent."""

    values: dict[Key, list[float | None]] = field(default_factory=dict)
    acknowledged: int = 0

    def add(self, orders: Orders, page: Page) -> None:
        """Take in what a process had done when it died."""
        for thread in range(orders.threads):
            count = page.acknowledged(thread)
            dropped = orders.dropped()
            self.acknowledged += count - len(dropped)
            for index, (name, step, value) in enumerate(orders.points(thread)):
                if index in dropped:
                    continue
                if index < count:
                    self.values[name, step] = [value]
                elif index < count + SERIES:  # The call under way may have come to any point of it.
                    self.values[name, step] = [*self.values.get((name, step), [None]), value]
                else:
                    break

    def compare(self, found: Points) -> Difference:
        """Hold `found` to what may be."""
        difference = Difference()
        for key, values in self.values.items():
            if key not in found and None not in values:
                difference.lost.append(key)
        for key, value in found.items():
            allowed = self.values.get(key, [])
            if not any(other is not None and same(value, other) for other in allowed):
                difference.invented.append(key)
        return difference

    def settle(self, found: Points) -> None:
        """From now on it must be what was found."""
        self.values = {key: [value] for key, value in found.items()}
