"""A run that is opened at its first use: by then a framework has told the configuration.

It can be used again after it was closed, and then goes on with the same run. What a framework hands over and Holter
cannot keep, since it keeps numbers, is left out and named once; it never ends a training.
"""

from __future__ import annotations

import operator
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import holter

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping


class LazyLogger:
    """A `holter.Logger` that is opened when it is needed. What that has, this has too.

    Args:
        path: the run's directory.
        config: what to keep with the run; `configure` adds to it.
        settings: further arguments of `holter.Logger`.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, config: Mapping[str, Any] | None = None, **settings: Any
    ) -> None:
        self._path = Path(path)
        self._config = dict(config or {})
        self._settings = settings
        self._logger: holter.Logger | None = None
        self._next_step = 0
        self._told: set[str] = set()

    @property
    def path(self) -> Path:
        """The run's directory; there is nothing in it before the run is opened."""
        return self._path

    @property
    def is_open(self) -> bool:
        """Whether a run is being recorded at this moment."""
        return self._logger is not None

    def open(self) -> holter.Logger:
        """Open the run unless it is open, and lend its logger, which is closed when this is.

        Raises:
            FileExistsError, FileNotFoundError, StoreError: as `holter.Logger`.
        """
        if self._logger is None:
            self._logger = holter.Logger(self._path, **self._settings)
            if self._config:
                # Not with the settings: what an earlier attempt was configured with stays.
                self._logger.update_config(self._config)
            if self._settings.get("resume") == "never":
                self._settings["resume"] = "allow"  # from now on it is this one
        return self._logger

    def configure(self, values: Mapping[str, Any]) -> None:
        """Add to the run's configuration; a key that is there already gets the new value."""
        self._config.update(values)
        if self._logger is not None and values:
            self._logger.update_config(values)

    def record(self, step: int | None, values: Mapping[str, Any]) -> None:
        """Record what are numbers of the values, under one step.

        Args:
            step: None for the step after the largest one so far.
            values: numbers, arrays and tensors of one element; a tensor on another device is waited for, as its
                framework does for its own loggers. Of anything else a `HolterWarning` tells, once for each type.

        Raises:
            TypeError, ValueError: a step or a name that `holter.Logger` does not take.
        """
        step = self._next_step if step is None else operator.index(step)
        numbers = {}
        for name, value in values.items():
            number = number_of(value)
            if number is None:
                self.leave_out(f"values of type {type(value).__name__}", example=name)
            else:
                numbers[name] = number
        if numbers:
            self.open().log_many(step, numbers)
        self._next_step = max(self._next_step, step + 1)

    def leave_out(self, what: str, *, example: str) -> None:
        """Say, once for each `what`, that it is not recorded."""
        self._tell(what, f"holter records numbers: {what} are left out, such as {example!r}")

    def close(self, *, has_failed: bool = False) -> None:
        """Close the run if it is open, as finished or as failed.

        A disk that takes nothing is a `HolterWarning` here: it should not be what a training ends with.
        """
        logger, self._logger = self._logger, None
        if logger is None:
            return
        try:
            if has_failed:
                error = RuntimeError("the training failed")
                logger.__exit__(type(error), error, None)
            else:
                logger.close()
        except holter.FlushTimeoutError as error:
            self._tell("close", str(error))

    def _tell(self, key: str, message: str) -> None:
        if key not in self._told:
            self._told.add(key)
            warnings.warn(message, holter.HolterWarning, stacklevel=4)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not hasattr(holter.Logger, name):  # to be asked is no reason to open a run
            raise AttributeError(f"holter.Logger has no attribute {name!r}")
        return getattr(self.open(), name)

    def __getstate__(self) -> dict[str, Any]:
        """Close the run: it goes on in the process that this is sent to."""
        self.close()
        return dict(self.__dict__)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __repr__(self) -> str:
        return f"LazyLogger({str(self._path)!r}, {'open' if self.is_open else 'closed'})"


def number_of(value: Any) -> float | None:
    """The value as a number, None if it is no single number."""
    try:
        if hasattr(value, "item"):  # numpy's and torch's scalars, and arrays of one element
            value = value.item()
        return None if isinstance(value, (str, bytes)) else float(value)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return None


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values of nested mappings under their joined names: `{"loss": {"a": 1}}` is `{"loss/a": 1}`."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if hasattr(value, "items") and callable(value.items):
            found.update(flat(value, f"{prefix}{name}/"))
        else:
            found[f"{prefix}{name}"] = value
    return found


def free_directory(parent: str | os.PathLike[str], prefix: str, *, first: int) -> tuple[Path, int]:
    """The first of `{prefix}{number}` in `parent` that comes after all that are there, and its number."""
    taken = (path.name.removeprefix(prefix) for path in Path(parent).glob(f"{prefix}*"))
    numbers = (int(number) for number in taken if number.isascii() and number.isdecimal())
    number = max([first - 1, *numbers]) + 1
    return Path(parent, f"{prefix}{number}"), number
