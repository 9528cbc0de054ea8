"""The Python side of `holter.Logger`: settings from arguments and environment, and closing at exit.

`Logger` is a class of the extension, so that `log` is a single call into it. It imports this module when the first
logger is created.
"""

import atexit
import os
import pathlib
import secrets
import signal
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from holter import _core
from holter._config import DEFAULT_SINKS, Environment, Overflow
from holter._facts import facts_json
from holter._paths import local_path

if TYPE_CHECKING:
    from holter.alerts import Rule, Webhook

__all__ = ["Settings", "read_settings"]

_JOURNAL_POINTS = 1 << 20
_NO_RULES = "[]"

_ADJECTIVES = ("amber", "bold", "brisk", "calm", "clear", "crisp", "deep", "eager", "fair", "fleet", "keen", "quiet")
_NOUNS = ("brook", "cedar", "comet", "ember", "falcon", "harbor", "heron", "lark", "meadow", "ridge", "river", "tide")


class Settings(NamedTuple):
    """The settings of a logger, with the types that the extension expects."""

    path: pathlib.Path
    name: str | None
    rank: int
    resume: str
    overflow: str
    sinks: list[str]
    summary_every: int
    journal_points: int
    alerts: str
    webhook: "Webhook | None"
    facts: str
    is_enabled: bool


def read_settings(
    path: str | os.PathLike[str] | None = None,
    *,
    name: str | None = None,
    config: Mapping[str, Any] | None = None,
    tags: Sequence[str] = (),
    group: str | None = None,
    notes: str | None = None,
    resume: str | None = None,
    sinks: Iterable[str] = DEFAULT_SINKS,
    summary_every: int = 100,
    overflow: Overflow = Overflow.BLOCK,
    rank: int | None = None,
    journal_points: int = _JOURNAL_POINTS,
    alerts: "Iterable[Rule]" = (),
    webhook: "Webhook | str | None" = None,
) -> Settings:
    """Combine the arguments of `holter.Logger` with the environment.

    Raises:
        TypeError, ValueError: If an argument is invalid.
    """
    environment = Environment()
    name = _checked_name(name) if name is not None else environment.name
    directory = local_path(pathlib.Path(environment.directory, name or _new_name()) if path is None else path)
    resume = resume if resume is not None else environment.resume or "auto"
    if not isinstance(resume, str):
        message = f"resume must be 'auto', 'never', 'allow', 'must' or 'newest', got {resume!r}"
        raise TypeError(message)
    rules = _rules_json(alerts)
    webhook = _checked_webhook(webhook, rules)
    facts = facts_json(config, tags, group=group, notes=notes, more_tags=environment.tags)
    if environment.is_enabled:
        _close_on_sigterm()
    return Settings(
        path=directory,
        name=name if environment.is_enabled else name or directory.absolute().name,
        rank=_checked_count("rank", rank or 0, least=0),
        resume=resume,
        overflow=Overflow(overflow).value,
        sinks=_checked_sinks(sinks),
        summary_every=_checked_count("summary_every", summary_every, least=1),
        journal_points=_checked_count("journal_points", journal_points, least=1),
        alerts=rules,
        webhook=webhook,
        facts=facts if webhook is None else webhook.redacted(facts),
        is_enabled=environment.is_enabled,
    )


read_settings.__qualname__ = "Logger"  # the name in Python's errors about unexpected arguments


@atexit.register
def _close_all() -> None:
    """Close the loggers that are still open when the program ends."""
    exception = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    if isinstance(exception, KeyboardInterrupt):
        _core.close_all("interrupted")
    else:
        _core.close_all("finished" if exception is None else "failed")


def _close_on_sigterm() -> None:
    """Close runs as interrupted when SIGTERM ends the program, as it does on preemption.

    Does nothing if the program handles SIGTERM itself, or outside the main thread, where Python has no signal handlers.
    """
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _end_interrupted)


def _end_interrupted(number: int, _frame: object) -> None:
    try:
        _core.close_all("interrupted")
    finally:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)  # end as the program would have without a logger


def _restore_sigterm_in_child() -> None:
    """Let SIGTERM end forked children, such as DataLoader workers, at once."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is _end_interrupted:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


os.register_at_fork(after_in_child=_restore_sigterm_in_child)


def _new_name() -> str:
    return f"{secrets.choice(_ADJECTIVES)}-{secrets.choice(_NOUNS)}-{secrets.token_hex(2)}"


def _checked_name(name: str) -> str:
    if not isinstance(name, str):
        message = f"name must be a str, got {type(name).__name__} {name!r}"
        raise TypeError(message)
    if not name:
        message = "name must not be empty"
        raise ValueError(message)
    return name


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
    sinks = list(sinks)
    for sink in sinks:
        if not isinstance(sink, str):
            message = f"sinks must be names, got {type(sink).__name__} {sink!r}"
            raise TypeError(message)
    return sinks


def _rules_json(alerts: "Iterable[Rule]") -> str:
    if isinstance(alerts, tuple) and not alerts:
        return _NO_RULES  # without importing holter.alerts
    from holter.alerts._rules import rules_json

    return rules_json(alerts)


def _checked_webhook(webhook: "Webhook | str | None", rules: str) -> "Webhook | None":
    """Return the webhook. Messages never include its URL, which is a secret."""
    if webhook is None:
        return None
    from holter.alerts import Webhook

    if isinstance(webhook, str):
        webhook = Webhook(webhook)
    if not isinstance(webhook, Webhook):
        message = f"webhook must be a URL or a holter.alerts.Webhook, got {type(webhook).__name__}"
        raise TypeError(message)
    if rules == _NO_RULES:
        message = "a webhook delivers alerts, and there are no rules; pass alerts=[...] as well"
        raise ValueError(message)
    return webhook
