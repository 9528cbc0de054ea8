"""The interface of every recorder that is measured: `open`, `log`, `log_many`, `close`, `read_series`, `size`.

A recorder is configured as its documentation recommends; `settings` describes the configuration. Its module can be
imported anywhere: `prepare` imports the recorder's package, and runs only in the recorder's environment.
"""

import abc
import pathlib
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

__all__ = ["Recorder", "Way"]


class Way(NamedTuple):
    """One way of logging: a method of the recorder that logs one step's input.

    Args:
        method: The method's name.
        title: The call as a user writes it, in Markdown.
        form: The form of the input: `pairs` of name and value, one call for each; `handles`, the same with the result
            of `Recorder.handle` instead of the name; a `mapping` per step; a `row` of float64 per step; a `block` of
            rows of many steps.
        is_named: Whether a series keeps its name and can be read by it.
        is_fast: Whether it is also measured on ten times as many points, since a million take less than a second.
    """

    method: str
    title: str
    form: str
    is_named: bool = True
    is_fast: bool = False

    @property
    def is_scalar(self) -> bool:
        """Whether each point takes a separate call."""
        return self.form in ("pairs", "handles")

    @property
    def is_live(self) -> bool:
        """Whether each step is logged as it happens, not together with later steps."""
        return self.form != "block"


class Recorder(abc.ABC):
    """A recorder of metrics. One object writes one store, or reads one."""

    title: ClassVar[str]
    requirements: ClassVar[tuple[str, ...]] = ()
    """Packages to install from PyPI, with pinned versions; the first is the recorder."""
    without_dependencies: ClassVar[tuple[str, ...]] = ()
    """Packages to install without their dependencies, because those are `shared`."""
    shared: ClassVar[tuple[str, ...]] = ()
    """Packages used from the environment that runs the benches, because they are too large to install again."""
    settings: ClassVar[str]
    """The configuration."""
    durable: ClassVar[str]
    """When points count as durable and readable."""
    reader: ClassVar[str]
    """The reader of a series."""
    ways: ClassVar[tuple[Way, ...]]
    """The ways of logging."""
    scalar: ClassVar[str | None] = "log"
    """The way that logs one point per call, if there is one."""
    many: ClassVar[str | None] = "log_many"
    """The way that logs a step of named series in one call, if there is one."""
    has_flush: ClassVar[bool] = True
    """Whether points can be made durable and readable without `close`."""

    @property
    def bulk_way(self) -> str:
        """The way that logs the most named points per call."""
        return self.many or self.single_way

    @property
    def single_way(self) -> str:
        """The way that logs the fewest points per call."""
        return self.scalar or self.ways[0].method

    def way(self, method: str) -> Way:
        """Return a way by its method's name."""
        return next(way for way in self.ways if way.method == method)

    @abc.abstractmethod
    def prepare(self, path: pathlib.Path) -> None:
        """Import the recorder's package and set the environment variables for a store in `path`. Not timed."""

    @abc.abstractmethod
    def open(self, path: pathlib.Path, names: Sequence[str]) -> None:
        """Start a run whose store is below `path`, an empty directory."""

    def handle(self, name: str) -> Any:
        """Return the handle for a name, for ways with the form `handles`."""
        return name

    def flush(self) -> None:
        """Make all points durable and readable, in the cheapest way that the recorder has."""
        self.close()

    @abc.abstractmethod
    def close(self) -> None:
        """End the run."""

    @abc.abstractmethod
    def open_reader(self, path: pathlib.Path) -> None:
        """Open the store below `path` with the recorder's own reader."""

    @abc.abstractmethod
    def read_series(self, name: str) -> tuple[Sequence[float], Sequence[float]]:
        """Return the steps and the values of one series; both empty if it does not exist."""

    def count(self, names: Sequence[str]) -> int:
        """Count the points of all these series that the reader finds."""
        return sum(len(self.read_series(name)[0]) for name in names)

    def size(self, path: pathlib.Path) -> dict[str, int]:
        """Return the bytes of the store by part; every file below `path` belongs to one part."""
        return {"": sum(file.stat().st_size for file in path.rglob("*") if file.is_file())}
