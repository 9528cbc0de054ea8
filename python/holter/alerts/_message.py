"""What a webhook is sent: one JSON object for all alerts since the message before. docs/alerts.md has its keys."""

import json
from collections.abc import Sequence
from typing import Any

__all__ = ["MAX_BYTES", "body"]

MAX_LISTED = 100
"""Alerts that a message has whole."""

MAX_BYTES = 512 * 1024
"""How long they may be together; the longest alert is shorter."""

_MAX_LINES = 10
_MAX_TEXT = 200


def body(run: dict[str, Any], alerts: Sequence[dict[str, Any]], dropped: int) -> bytes:
    """Return the message as UTF-8.

    Args:
        run: What is said of the run; its `name` is also in the text.
        alerts: The alerts, each as the object of its line in the events file; at least one.
        dropped: How many before these were never sent.
    """
    listed = _listed(alerts)
    message = {
        "text": _text(str(run["name"]), alerts),
        "run": run,
        "alerts": listed,
        "more": len(alerts) - len(listed),
        "dropped": dropped,
    }
    return json.dumps(message, ensure_ascii=False, allow_nan=False).encode("utf-8", "backslashreplace")


def _listed(alerts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = []
    left = MAX_BYTES
    for alert in alerts[:MAX_LISTED]:
        left -= len(json.dumps(alert, ensure_ascii=False).encode("utf-8", "backslashreplace"))
        if left < 0:
            break
        listed.append(alert)
    return listed


def _text(name: str, alerts: Sequence[dict[str, Any]]) -> str:
    """The message for people."""
    lines = [_line(alert) for alert in alerts[:_MAX_LINES]]
    if len(alerts) == 1:
        return f"{_shown(name)}: {lines[0]}"
    if len(alerts) > len(lines):
        lines.append(f"and {len(alerts) - len(lines)} more")
    return "\n".join([f"{_shown(name)}: {len(alerts)} alerts", *lines])


def _line(alert: dict[str, Any]) -> str:
    stop = ", and the training is asked to stop" if alert["stop"] else ""
    return f"{alert['level']}: {_shown(alert['series'])} at step {alert['step']}: {_shown(alert['message'])}{stop}"


def _shown(text: str) -> str:
    """The text such that chat programs take it for nothing but text: no mention, no link, no further line."""
    shown = text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 1]}…"
    shown = "".join(letter if letter.isprintable() else "�" for letter in shown)
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
