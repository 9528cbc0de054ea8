"""Faults: a probe that raises is switched off, counted and reported once; it never raises into the training."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger("holter.torch")

P = ParamSpec("P")
R = TypeVar("R")


class Faults:
    """Which probes have failed, and how.

    Attributes:
        disabled: the failed probe's name -> the error's text. A probe is run until it fails once.
    """

    def __init__(self) -> None:
        self.disabled: dict[str, str] = {}

    def run(self, probe: str, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
        """What `function` returns; None where it raises now, or has raised before under the same name."""
        if probe in self.disabled:
            return None
        try:
            return function(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  whatever a probe raises, the training goes on
            self.report(probe, error)
            return None

    def report(self, probe: str, error: BaseException) -> None:
        """Switch a probe off and say so, once."""
        if probe in self.disabled:
            return
        self.disabled[probe] = f"{type(error).__name__}: {error}"
        _log.warning(
            "%s failed and is off for the rest of this watch; the training goes on. %s",
            probe,
            self.disabled[probe],
            exc_info=(type(error), error, error.__traceback__),
        )
