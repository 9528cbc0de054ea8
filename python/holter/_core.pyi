"""Types and contracts of the extension. The docstrings are those of the classes themselves."""

import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Protocol, SupportsFloat, SupportsIndex, SupportsInt, final

from typing_extensions import Buffer, Self

from holter._config import Overflow

__all__ = [
    "FORMAT_VERSION",
    "Health",
    "Logger",
    "Metric",
    "Metrics",
    "SinkHealth",
    "__version__",
    "close_all",
    "recover",
]

__version__: Final[str]
FORMAT_VERSION: Final[int]

class _Item(Protocol):
    """A numpy scalar or a 0-d tensor: what gives one number by `item()`."""

    def item(self) -> SupportsFloat | SupportsInt: ...

type _Number = SupportsFloat | SupportsIndex | _Item

@final
class Logger:
    """Records a training run into plain files."""

    def __new__(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        name: str | None = None,
        config: Mapping[str, Any] | None = None,
        tags: Sequence[str] = (),
        resume: str | None = None,
        sinks: Iterable[str] = ("sqlite", "parquet", "summary"),
        summary_every: int = 100,
        overflow: Overflow = Overflow.BLOCK,
        rank: int | None = None,
        journal_points: int = 1048576,
    ) -> Self: ...
    def log(self, step: SupportsIndex, name: str, value: _Number) -> None: ...
    def log_many(self, step: SupportsIndex, values: Mapping[str, _Number]) -> None: ...
    def log_array(self, step: SupportsIndex, metrics: Metrics | Iterable[str], values: Buffer) -> None: ...
    def metric(self, name: str) -> Metric: ...
    def metrics(self, names: Iterable[str]) -> Metrics: ...
    def flush(self, timeout_secs: float | None = None) -> None: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...
    @property
    def health(self) -> Health: ...
    @property
    def recovered(self) -> int: ...
    @property
    def path(self) -> pathlib.Path: ...
    @property
    def name(self) -> str: ...

@final
class Metric:
    """One metric of a logger, its name resolved once."""

    def log(self, step: SupportsIndex, value: _Number) -> None: ...
    @property
    def name(self) -> str: ...

@final
class Metrics:
    """Many metrics of a logger, in order, for `Logger.log_array`."""

    @property
    def names(self) -> list[str]: ...
    def __len__(self) -> int: ...

@final
class Health:
    """The counters of one attempt, as they stood when the property was read."""

    @property
    def accepted(self) -> int: ...
    @property
    def written(self) -> int: ...
    @property
    def dropped(self) -> int: ...
    @property
    def waits(self) -> int: ...
    @property
    def retries(self) -> int: ...
    @property
    def last_error(self) -> str | None: ...
    @property
    def sinks(self) -> list[SinkHealth]: ...

@final
class SinkHealth:
    """The state of one sink."""

    @property
    def name(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def written(self) -> int: ...
    @property
    def last_error(self) -> str | None: ...

def recover(path: str | os.PathLike[str]) -> int: ...
def close_all(status: str) -> None: ...
