"""Exceptions for which Python has no built-in class.

    HolterError
    ├── StoreError             a file of the run cannot be read or written
    ├── FormatVersionError     a newer version of Holter wrote the run
    ├── RunClosedError         the run is closed
    ├── ForkedProcessError     a forked process cannot log
    └── FlushTimeoutError      points were not durable in time; also a TimeoutError

An invalid argument raises TypeError or ValueError, a missing run FileNotFoundError, a run that must not exist
FileExistsError, and an unknown series KeyError.
"""

__all__ = [
    "FlushTimeoutError",
    "ForkedProcessError",
    "FormatVersionError",
    "HolterError",
    "HolterWarning",
    "RunClosedError",
    "StoreError",
]


class HolterError(Exception):
    """Base class of Holter's exceptions."""


class StoreError(HolterError):
    """A file of the run cannot be opened, read or written, or another process writes to the run."""


class FormatVersionError(HolterError):
    """A newer version of Holter wrote the run."""


class RunClosedError(HolterError):
    """The run is closed, so nothing can be logged or flushed."""


class ForkedProcessError(HolterError):
    """This process was forked from the one that opened the logger, and cannot log.

    Return values from a DataLoader worker to the main process, or open a `Logger` with its own `rank=` in the worker.
    """


class FlushTimeoutError(HolterError, TimeoutError):
    """Points were not durable within the timeout."""


class HolterWarning(UserWarning):
    """A problem that does not stop the training, such as dropped points or a journal in another place."""
