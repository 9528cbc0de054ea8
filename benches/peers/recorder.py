"""The one interface by which every recorder is measured: `open`, `log`, `log_many`, `close`, `read_series`, `size`.

A recorder is configured as its own documents advise and says so in `settings`. Its module can be imported everywhere:
the peer's package is imported by `prepare`, which only the recorder's own environment runs.
"""

import abc
import pathlib
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

__all__ = ["Recorder", "Way"]


class Way(NamedTuple):
    """One way to hand over points: a method of the recorder that is given what one step logs.

    Args:
        method: The method's name.
        title: The call as it is written, in Markdown.
        takes: `pairs` of name and value, one call for each; `handles`, the same with what `Recorder.handle` made of the
            name; a `mapping` of a step; a `row` of a step, float64; a `block` of many steps of rows.
        is_named: Whether a series keeps its name, so that it can be asked for.
        is_fast: Whether it is measured over ten times as many points as well, since a million last less than a second.
    """

    method: str
    title: str
    takes: str
    is_named: bool = True
    is_fast: bool = False

    @property
    def is_scalar(self) -> bool:
        """Whether each point is a call of its own."""
        return self.takes in ("pairs", "handles")

    @property
    def is_live(self) -> bool:
        """Whether a step is logged when it is over, and not with many later ones."""
        return self.takes != "block"


class Recorder(abc.ABC):
    """A recorder of metrics. One object writes one store, or reads one."""

    title: ClassVar[str]
    requirements: ClassVar[tuple[str, ...]] = ()
    """What is installed from PyPI, versions pinned; the first names the peer itself."""
    without_dependencies: ClassVar[tuple[str, ...]] = ()
    """What is installed without what it depends on, because that is `lent`."""
    lent: ClassVar[tuple[str, ...]] = ()
    """What is taken from the environment that runs the benches, because it is too heavy to install again."""
    settings: ClassVar[str]
    """How it is configured, and where that is advised."""
    durable: ClassVar[str]
    """When points count as durable and readable."""
    reader: ClassVar[str]
    """What reads a series back."""
    ways: ClassVar[tuple[Way, ...]]
    """The ways to log."""
    scalar: ClassVar[str | None] = "log"
    """The way that logs one point a call; None where there is none."""
    many: ClassVar[str | None] = "log_many"
    """The way that logs a step of named series in one call; None where there is none."""
    settles: ClassVar[bool] = True
    """Whether points can be made durable and readable without `close`."""

    @property
    def by_name(self) -> str:
        """The way by which most named points are logged in one call."""
        return self.many or self.one_by_one

    @property
    def one_by_one(self) -> str:
        """The way that logs one point a call, or as few as there can be."""
        return self.scalar or self.ways[0].method

    def way(self, method: str) -> Way:
        """A way by its method's name."""
        return next(way for way in self.ways if way.method == method)

    @abc.abstractmethod
    def prepare(self, path: pathlib.Path) -> None:
        """Import the peer, with the environment variables that it needs for a store in `path`. Not timed."""

    @abc.abstractmethod
    def open(self, path: pathlib.Path, names: Sequence[str]) -> None:
        """Begin a run whose store is below `path`, an empty directory."""

    def handle(self, name: str) -> Any:
        """What a way that takes `handles` is given in place of a name."""
        return name

    def settle(self) -> None:
        """Return when every point so far is durable and readable, by the cheapest means that the peer has."""
        self.close()

    @abc.abstractmethod
    def close(self) -> None:
        """End the run."""

    @abc.abstractmethod
    def open_reader(self, path: pathlib.Path) -> None:
        """Make ready to read the store below `path` with the peer's own reader."""

    @abc.abstractmethod
    def read_series(self, name: str) -> tuple[Sequence[float], Sequence[float]]:
        """The steps and the values of one series; both empty where there is none."""

    def count(self, names: Sequence[str]) -> int:
        """How many points of all these series the reader finds."""
        return sum(len(self.read_series(name)[0]) for name in names)

    def size(self, path: pathlib.Path) -> dict[str, int]:
        """The bytes of the store, by the part of it; every file of `path` belongs to one."""
        return {"": sum(file.stat().st_size for file in path.rglob("*") if file.is_file())}
