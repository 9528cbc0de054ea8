"""Probe failures: a probe that raises is disabled and reported once, and never raises into the training."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from holter.torch._tracing import without_modes

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger("holter.torch")

P = ParamSpec("P")
R = TypeVar("R")


class Faults:
    """The failed probes of one watch.

    Attributes:
        disabled: Maps each failed probe's name to the text of its error.
        failures: Maps each part that has raised, without being disabled, to a note about its first error.
    """

    def __init__(self) -> None:
        self.disabled: dict[str, str] = {}
        self.failures: dict[str, str] = {}

    def run(self, probe: str, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
        """Return `function(*args, **kwargs)`; None if it raises, or if a probe of this name has raised before."""
        if probe in self.disabled:
            return None
        try:
            with without_modes():
                return function(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  an error in a probe must never reach the training
            self.report(probe, error)
            return None

    def attempt(self, part: str, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
        """Return `function(*args, **kwargs)`; None if it raises.

        The part carries the values of many probes, so an error costs the values of this call but does not disable it.
        """
        try:
            with without_modes():
                return function(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  as above
            self._report_failure(part, error)
            return None

    def _report_failure(self, part: str, error: BaseException) -> None:
        if part in self.failures:
            return
        text = (
            f"{part} raised {type(error).__name__}: {error}. This step lacks some values; later steps are recorded. "
            "Further errors of this part are not reported"
        )
        self.failures[part] = text
        _log.warning(text, exc_info=(type(error), error, error.__traceback__))

    def report(self, probe: str, error: BaseException) -> None:
        """Disable a probe and log a warning, once."""
        if probe in self.disabled:
            return
        self.disabled[probe] = f"{type(error).__name__}: {error}"
        _log.warning(
            "%s raised %s. It is disabled for the rest of this watch, so its metrics are missing from this step on; "
            "training continues. Fix the error and start a new watch to record them",
            probe,
            self.disabled[probe],
            exc_info=(type(error), error, error.__traceback__),
        )
