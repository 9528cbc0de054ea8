"""The logger: opens a run, takes points from any thread, closes.

Closed by the end of a `with` block, by `close()`, or when the program ends, whichever comes first. What
a killed process leaves is recovered when the run is opened the next time. In a forked child the logger
takes nothing, and says so once.
"""

import atexit
import os
import pathlib
import secrets
import sys
import weakref
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

from holter import _core
from holter._config import DEFAULT_SINKS, Environment, Overflow
from holter._facts import facts_json

__all__ = ["Logger"]

_JOURNAL_POINTS = 1 << 20

_ADJECTIVES = ("amber", "bold", "brisk", "calm", "clear", "crisp", "deep", "eager", "fair", "fleet", "keen", "quiet")
_NOUNS = ("brook", "cedar", "comet", "ember", "falcon", "harbor", "heron", "lark", "meadow", "ridge", "river", "tide")


class Logger(_core.Logger):
    """Records a training run into plain files.

    Args:
        path: The run's directory, created when missing. By default a new one in `runs` (`HOLTER_DIR`).
        name: The name that the run is known by; by default that of the directory (`HOLTER_NAME`).
        config: What to keep with the run, such as hyper-parameters: a mapping of plain values.
        tags: Words to find the run by (`HOLTER_TAGS`).
        resume: What happens if the run is there: `"never"` refuses it, `"allow"` goes on with it, `"must"`
            refuses to begin a new one (`HOLTER_RESUME`).
        sinks: Where the points go: `"sqlite"`, `"parquet"`, `"summary"`. One of the first two must be among them.
        summary_every: The summary gets a line for every step that is a multiple of this.
        overflow: What happens to a point when the journal is full.
        rank: The process of a distributed run. All but 0 write to a directory of their own within the run.
        journal_points: How many points the journal holds, a power of two; 32 bytes of memory and disk each.

    With `HOLTER_MODE=disabled` nothing is recorded and nothing touches the disk.

    Raises:
        TypeError, ValueError: If an argument is of the wrong type or out of its range.
        FileExistsError: If `resume="never"` and the run is there.
        FileNotFoundError: If `resume="must"` and it is not.
        StoreError: If another process writes to the run, or its files cannot be opened.
        FormatVersionError: If a newer Holter wrote the run.
    """

    __slots__ = ("_name",)

    _name: str

    def __new__(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        name: str | None = None,
        config: Mapping[str, Any] | None = None,
        tags: Sequence[str] = (),
        resume: str | None = None,
        sinks: Iterable[str] = DEFAULT_SINKS,
        summary_every: int = 100,
        overflow: Overflow = Overflow.BLOCK,
        rank: int | None = None,
        journal_points: int = _JOURNAL_POINTS,
    ) -> "Logger":
        """Open the run. See the class for the arguments."""
        environment = Environment.read()
        name = name if name is not None else environment.name
        directory = pathlib.Path(path) if path is not None else environment.directory / (name or _new_name())
        self = super().__new__(
            cls,
            directory,
            name=name,
            rank=_checked_count("rank", rank or 0, least=0),
            resume=resume or environment.resume or "allow",
            overflow=Overflow(overflow).value,
            sinks=_checked_sinks(sinks),
            summary_every=_checked_count("summary_every", summary_every, least=1),
            journal_points=_checked_count("journal_points", journal_points, least=1),
            facts=facts_json(config, (*environment.tags, *tags) if not isinstance(tags, str) else tags),
            is_enabled=environment.is_enabled,
        )
        self._name = name if name is not None else directory.absolute().name
        _open_loggers.add(self)
        return self

    @property
    def path(self) -> pathlib.Path:
        """The directory that this process writes to."""
        return self._path

    @property
    def name(self) -> str:
        """The name that the run is known by."""
        return self._name

    def close(self) -> None:
        """Write what is there and end the run. Does nothing if it is closed already.

        Raises:
            FlushTimeoutError: If the disk refused for so long that something stayed in the journal, from
                where the next opening of the run takes it. The run is closed all the same.
        """
        self._end("finished")

    def _end(self, status: str) -> None:
        _open_loggers.discard(self)
        self._close(status)

    def __enter__(self) -> "Logger":
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end("finished" if exception is None or _is_clean_exit(exception) else "failed")

    def __reduce__(self) -> str:
        message = "a Logger cannot be pickled: it belongs to the process that opened it"
        raise TypeError(message)

    def __repr__(self) -> str:
        return f"Logger({str(self.path)!r})"


_open_loggers: "weakref.WeakSet[Logger]" = weakref.WeakSet()


def _close_all() -> None:
    """Close what the program left open when it ended."""
    exception = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    status = "finished" if exception is None or _is_clean_exit(exception) else "failed"
    for logger in list(_open_loggers):
        logger._end(status)  # noqa: SLF001 - one of ours


atexit.register(_close_all)


def _is_clean_exit(exception: BaseException) -> bool:
    return isinstance(exception, SystemExit) and exception.code in (None, 0)


def _new_name() -> str:
    return f"{secrets.choice(_ADJECTIVES)}-{secrets.choice(_NOUNS)}-{secrets.token_hex(2)}"


def _checked_count(argument: str, value: int, *, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        message = f"{argument} must be an int, got {type(value).__name__} {value!r}"
        raise TypeError(message)
    if not least <= value < 1 << 31:
        message = f"{argument} must be at least {least} and below 2**31, got {value}"
        raise ValueError(message)
    return value


def _checked_sinks(sinks: Iterable[str]) -> list[str]:
    if isinstance(sinks, str):
        message = f"sinks must be a sequence of names such as ('sqlite',), got the str {sinks!r}"
        raise TypeError(message)
    return list(sinks)
