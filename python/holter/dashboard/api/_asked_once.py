"""A run that answers the same question once in a request: sixty charts of it ask for the same marks and restarts.

Listing the names of 5,000 series costs as much as drawing two charts. An answer lives as long as the request, so it
is never older than what the request's figures show.
"""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

from holter import Run, SeriesFacts

__all__ = ["asked_once"]

_T = TypeVar("_T")


def asked_once(run: Run) -> Run:
    """Return `run` with a memory for its names, facts and manifest; everything else is asked anew."""
    return cast("Run", _Remembering(run))


class _Remembering:
    """What `asked_once` returns. Answers are shared: who asks must not change them."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._answers: dict[Hashable, Any] = {}

    def names(self, pattern: str = "*") -> list[str]:
        return self._once(("names", pattern), lambda: self._run.names(pattern))

    def facts(self, pattern: str = "*") -> list[SeriesFacts]:
        return self._once(("facts", pattern), lambda: self._run.facts(pattern))

    @property
    def manifest(self) -> dict[str, Any]:
        return self._once("manifest", lambda: self._run.manifest)

    def _once(self, question: Hashable, ask: Callable[[], _T]) -> _T:
        if question not in self._answers:
            self._answers[question] = ask()
        answer: _T = self._answers[question]
        return answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._run, name)

    def __repr__(self) -> str:
        return repr(self._run)
