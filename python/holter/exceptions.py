"""What Holter raises where Python has no word of its own.

    HolterError
    ├── StoreError             a file of the run cannot be read or written
    ├── FormatVersionError     a newer Holter wrote the run
    ├── RunClosedError         the run was closed
    └── FlushTimeoutError      something was not durable in time; also a TimeoutError

A wrong argument is a TypeError or ValueError, a missing run a FileNotFoundError, a run that must not
exist and does a FileExistsError, an unknown series a KeyError.
"""

__all__ = [
    "FlushTimeoutError",
    "FormatVersionError",
    "HolterError",
    "HolterWarning",
    "RunClosedError",
    "StoreError",
]


class HolterError(Exception):
    """The base of Holter's own exceptions."""


class StoreError(HolterError):
    """A file of the run cannot be opened, read or written, or another process writes to it."""


class FormatVersionError(HolterError):
    """The run was written by a newer Holter than this one."""


class RunClosedError(HolterError):
    """The run was closed, so nothing can be logged or flushed any more."""


class FlushTimeoutError(HolterError, TimeoutError):
    """Not everything was durable in the time that was given."""


class HolterWarning(UserWarning):
    """Something that does not stop the training: points that were dropped, a fork, a journal elsewhere."""
