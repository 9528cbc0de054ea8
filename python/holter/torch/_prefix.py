"""Names of several watches on one logger: a prefix for each, and an error if two watches would record the same name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from holter import Logger

_claims: list[tuple[Logger, object, frozenset[str]]] = []
"""The names that each open watch may record, with its logger and the watch itself."""


class _PrefixedLogger:
    """A logger that puts a prefix before every name; only the methods that a watch uses."""

    def __init__(self, logger: Logger, prefix: str) -> None:
        self._logger = logger
        self._prefix = prefix
        self.log_array = logger.log_array

    def metrics(self, names: Sequence[str]) -> Any:
        """Prepare names for `log_array`."""
        return self._logger.metrics([self._prefix + name for name in names])


def with_prefix(logger: Logger, prefix: str) -> Logger:
    """Return the logger, or a wrapper of it that puts `prefix` before every name.

    Raises:
        TypeError: If the prefix is not a str.
    """
    if not isinstance(prefix, str):
        raise TypeError(f"prefix must be a str, not {type(prefix).__name__}")
    return cast("Logger", _PrefixedLogger(logger, prefix)) if prefix else logger


def claim(logger: Logger, owner: object, names: Iterable[str]) -> None:
    """Reserve names of a logger for a watch, until `release`.

    Raises:
        ValueError: If another open watch has reserved one of them.
    """
    claimed = frozenset(names)
    for other, _, others in _claims:
        if other is logger and not claimed.isdisjoint(others):
            raise ValueError(
                f"another open watch records {min(claimed & others)!r} with the same logger, and one would overwrite "
                "the other; pass a different prefix= to watch, or close the other watch first"
            )
    _claims.append((logger, owner, claimed))


def release(owner: object) -> None:
    """Release the names of a watch."""
    _claims[:] = [each for each in _claims if each[1] is not owner]
