"""A logger that opens its run on first use, when the framework has provided the configuration.

It can be used again after `close`, and then resumes the same run. Values that are not numbers are skipped with one
warning for each kind; they never end a training run.
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
    """A `holter.Logger` that is opened on demand; it also has all attributes of `holter.Logger`.

    Args:
        path: The run's directory.
        config: The run's configuration; `configure` adds to it.
        settings: Other arguments of `holter.Logger`.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, config: Mapping[str, Any] | None = None, **settings: Any
    ) -> None:
        self._path = Path(path)
        self._config = dict(config or {})
        self._settings = settings
        self._logger: holter.Logger | None = None
        self._next_step = 0
        self._warned: set[str] = set()

    @property
    def path(self) -> Path:
        """The run's directory, which is created when the run is opened.

        Opening changes it to a new directory if the given one contains a completed run; see `holter.Logger`.
        """
        return self._path

    @property
    def is_open(self) -> bool:
        """Whether a run is being recorded."""
        return self._logger is not None

    def open(self) -> holter.Logger:
        """Open the run if necessary, and return its logger, which `close` closes.

        Raises:
            FileExistsError, FileNotFoundError, StoreError: As `holter.Logger`.
        """
        if self._logger is None:
            self._logger = holter.Logger(self._path, **self._settings)
            if self._config:
                # Not part of the settings, so that the configuration of an earlier attempt is kept.
                self._logger.update_config(self._config)
            self._path = self._logger.path
            self._settings["resume"] = "allow"  # later calls resume this run
        return self._logger

    def configure(self, values: Mapping[str, Any]) -> None:
        """Add to the run's configuration; new values replace existing ones."""
        self._config.update(values)
        if self._logger is not None and values:
            self._logger.update_config(values)

    def record(self, step: int | None, values: Mapping[str, Any]) -> None:
        """Record the numbers among the values at one step.

        Args:
            step: The step; None for the largest step so far plus one.
            values: Numbers, and arrays and tensors with one element. Reading a tensor on another device waits for it,
                as in the framework's own loggers. Other types are skipped, with a `HolterWarning` once for each type.

        Raises:
            TypeError, ValueError: If `holter.Logger` does not accept the step or a name.
        """
        step = self._next_step if step is None else operator.index(step)
        numbers = {}
        for name, value in values.items():
            number = to_number(value)
            if number is None:
                self.warn_skipped(f"values of type {type(value).__name__}", example=name)
            else:
                numbers[name] = number
        if numbers:
            self.open().log_many(step, numbers)
        self._next_step = max(self._next_step, step + 1)

    def warn_skipped(self, kind: str, *, example: str) -> None:
        """Warn, once for each kind, that it is not recorded."""
        self._warn_once(kind, f"holter records only numbers: skipping {kind}, such as {example!r}")

    def close(self, *, has_failed: bool = False) -> None:
        """Close the run if it is open, as finished or as failed.

        A flush timeout is only a `HolterWarning`, because it must not end a training run.
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
            self._warn_once("close", str(error))

    def _warn_once(self, key: str, message: str) -> None:
        if key not in self._warned:
            self._warned.add(key)
            warnings.warn(message, holter.HolterWarning, stacklevel=4)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not hasattr(holter.Logger, name):  # `hasattr` must not open a run
            raise AttributeError(f"holter.Logger has no attribute {name!r}")
        return getattr(self.open(), name)

    def __getstate__(self) -> dict[str, Any]:
        """Close the run, so that the process that unpickles this can resume it."""
        self.close()
        return dict(self.__dict__)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __repr__(self) -> str:
        return f"LazyLogger({str(self._path)!r}, {'open' if self.is_open else 'closed'})"


def to_number(value: Any) -> float | None:
    """Convert the value to a float; return None if it is not a single number."""
    try:
        if hasattr(value, "item"):  # scalars of numpy and torch, and arrays with one element
            value = value.item()
        return None if isinstance(value, (str, bytes)) else float(value)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return None


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested mappings, joining names with slashes: `{"loss": {"a": 1}}` becomes `{"loss/a": 1}`."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if hasattr(value, "items") and callable(value.items):
            found.update(flatten(value, f"{prefix}{name}/"))
        else:
            found[f"{prefix}{name}"] = value
    return found


def next_directory(parent: str | os.PathLike[str], prefix: str, *, first: int) -> tuple[Path, int]:
    """Return the path `{prefix}{number}` in `parent` that follows the existing ones, and its number."""
    existing = (path.name.removeprefix(prefix) for path in Path(parent).glob(f"{prefix}*"))
    numbers = (int(number) for number in existing if number.isascii() and number.isdecimal())
    number = max([first - 1, *numbers]) + 1
    return Path(parent, f"{prefix}{number}"), number
