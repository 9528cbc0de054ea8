"""A run that reads its names, facts and manifest only once, for use within one request.

Sixty charts of a run all need its marks and restarts, and listing the names of 5,000 series costs as much as drawing
two charts. The cache lives as long as the request, so its values are never older than the request's figures.
"""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

from holter import Run, SeriesFacts

__all__ = ["cached"]

_T = TypeVar("_T")


def cached(run: Run) -> Run:
    """Return `run` with cached names, facts and manifest. Callers share the values and must not modify them."""
    return cast("Run", _CachedRun(run))


class _CachedRun:
    def __init__(self, run: Run) -> None:
        self._run = run
        self._values: dict[Hashable, Any] = {}

    def names(self, pattern: str = "*") -> list[str]:
        return self._get(("names", pattern), lambda: self._run.names(pattern))

    def facts(self, pattern: str = "*") -> list[SeriesFacts]:
        return self._get(("facts", pattern), lambda: self._run.facts(pattern))

    @property
    def manifest(self) -> dict[str, Any]:
        return self._get("manifest", lambda: self._run.manifest)

    def _get(self, key: Hashable, read: Callable[[], _T]) -> _T:
        if key not in self._values:
            self._values[key] = read()
        value: _T = self._values[key]
        return value

    def __getattr__(self, name: str) -> Any:
        return getattr(self._run, name)

    def __repr__(self) -> str:
        return repr(self._run)
