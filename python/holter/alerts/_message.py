"""The JSON body of a webhook message: all alerts since the previous message. docs/alerts.md lists its keys."""

import json
from collections.abc import Sequence
from typing import Any

__all__ = ["body"]

_MAX_LISTED = 100  # alerts listed in full
_MAX_BYTES = 512 * 1024  # of the listed alerts together; any single alert is smaller

_MAX_LINES = 10
_MAX_TEXT = 200


def body(run: dict[str, Any], alerts: Sequence[dict[str, Any]], dropped: int) -> bytes:
    """Return the message as UTF-8 JSON.

    Args:
        run: Describes the run; its `name` also appears in the text.
        alerts: At least one alert, each as the parsed object of its line in the events file.
        dropped: Number of earlier alerts that were never sent.
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
    bytes_left = _MAX_BYTES
    for alert in alerts[:_MAX_LISTED]:
        bytes_left -= len(json.dumps(alert, ensure_ascii=False).encode("utf-8", "backslashreplace"))
        if bytes_left < 0:
            break
        listed.append(alert)
    return listed


def _text(name: str, alerts: Sequence[dict[str, Any]]) -> str:
    """Format the alerts as readable text."""
    lines = [_line(alert) for alert in alerts[:_MAX_LINES]]
    if len(alerts) == 1:
        return f"{_escaped(name)}: {lines[0]}"
    if len(alerts) > len(lines):
        lines.append(f"and {len(alerts) - len(lines)} more")
    return "\n".join([f"{_escaped(name)}: {len(alerts)} alerts", *lines])


def _line(alert: dict[str, Any]) -> str:
    stop = ", stop requested" if alert["stop"] else ""
    return f"{alert['level']}: {_escaped(alert['series'])} at step {alert['step']}: {_escaped(alert['message'])}{stop}"


def _escaped(text: str) -> str:
    """Escape the text so that chat programs render it literally: without mentions, links or line breaks."""
    escaped = text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 1]}…"
    escaped = "".join(letter if letter.isprintable() else "�" for letter in escaped)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
