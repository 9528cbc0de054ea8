"""Sends alerts to a webhook from its own daemon thread, so that neither training nor the writer waits.

The thread sleeps until there is an alert. The core bounds the queue to 1000 alerts. Undelivered alerts are counted, and
the first failure raises a `HolterWarning`. Closing waits at most 5 seconds.
"""

import contextlib
import json
import os
import threading
import time
import warnings
from typing import Any, Protocol

from holter.alerts._alert import LEVELS
from holter.alerts._delivery import Delivery
from holter.alerts._message import body
from holter.alerts._post import post
from holter.alerts._webhook import Webhook
from holter.exceptions import HolterWarning

__all__ = ["CLOSE_SECS", "MAX_ATTEMPTS", "Feed", "Sender", "start"]

CLOSE_SECS = 5.0
MAX_ATTEMPTS = 4

_GATHER_SECS = 0.2  # a failure in one layer spreads to others: send their alerts in one message
_FIRST_PAUSE_SECS = 1.0
_MAX_PAUSE_SECS = 60.0
_IDLE_SECS = 3600.0
_RETRIED_STATUSES = {408, 425, 429, 500, 502, 503, 504}


class Feed(Protocol):
    """The extension's source of new alerts."""

    def wait(self, timeout_secs: float, /) -> tuple[list[str], int, bool]:
        """Return the lines of new alerts, the number of missed alerts, and whether the feed has ended."""


def start(webhook: Webhook, feed: Feed, name: str, rank: int) -> "Sender":
    """Start sending the alerts of the run with this name."""
    return Sender(webhook, feed, {"name": name, "rank": rank})


class Sender:
    """Sends a feed's alerts until the feed ends or the sender is closed."""

    def __init__(self, webhook: Webhook, feed: Feed, run: dict[str, Any]) -> None:
        self._webhook = webhook
        self._feed = feed
        self._run = run
        self._process_id = os.getpid()
        self._closing = threading.Event()
        self._close_by = float("inf")
        self._sent = self._waiting = self._dropped = 0
        self._last_error: str | None = None
        self._has_warned = False
        self._thread = threading.Thread(target=self._work, name="holter-webhook", daemon=True)
        self._thread.start()

    @property
    def delivery(self) -> Delivery:
        """The current statistics."""
        return Delivery(self._sent, self._waiting, self._dropped, self._last_error)

    def redacted(self, text: str) -> str:
        """Return the text without the webhook's URL."""
        return self._webhook.redacted(text)

    def close(self) -> None:
        """Send the remaining alerts of an ended feed, within 5 seconds. Does nothing in a forked child."""
        if os.getpid() != self._process_id or self._closing.is_set():
            return
        self._close_by = time.monotonic() + CLOSE_SECS
        self._closing.set()
        self._thread.join(CLOSE_SECS)
        if self._thread.is_alive():
            self._warn(f"{self._waiting} alerts were not delivered to {self._webhook.target} in {CLOSE_SECS:g} seconds")

    def _work(self) -> None:
        has_ended = False
        while not has_ended:
            alerts, has_ended = self._receive(_IDLE_SECS)
            if not alerts:
                continue
            self._closing.wait(_GATHER_SECS)
            later, has_ended = self._receive(0)
            alerts += later
            self._waiting = len(alerts)
            error = self._deliver(body(self._run, alerts, self._dropped))
            self._record_outcome(len(alerts), error)
            self._closing.wait(self._webhook.interval_secs)

    def _receive(self, timeout_secs: float) -> tuple[list[dict[str, Any]], bool]:
        """Return the new alerts of at least the webhook's level, and whether the feed has ended."""
        lines, missed, has_ended = self._feed.wait(timeout_secs)
        self._dropped += missed
        min_level = LEVELS.index(self._webhook.level)
        alerts = [json.loads(line) for line in lines]
        return [alert for alert in alerts if LEVELS.index(alert["level"]) >= min_level], has_ended

    def _deliver(self, message: bytes) -> str | None:
        """Send a message, with retries; return the last error, or None on success."""
        pause = _FIRST_PAUSE_SECS
        for num_left in range(MAX_ATTEMPTS - 1, -1, -1):
            error, min_pause = self._attempt(message)
            if error is None or min_pause is None or not num_left:
                return error
            self._last_error = error
            # Closing ends the pause, so that the remaining time goes to the retries.
            self._closing.wait(max(pause, min_pause))
            pause *= 2
            if time.monotonic() >= self._close_by:
                return error
        return None

    def _attempt(self, message: bytes) -> tuple[str | None, float | None]:
        """Return the error, if any, and the minimum pause before a retry; None for no retry."""
        end = time.monotonic() + self._webhook.timeout_secs
        try:
            status, retry_after = post(
                self._webhook.url, message, "holter", lambda: min(end, self._close_by) - time.monotonic()
            )
        except OSError as error:
            return f"{self._webhook.target}: {self._described(error)}", 0.0
        except Exception as error:  # noqa: BLE001  a bug or MemoryError must not end training either
            return f"{self._webhook.target}: {type(error).__name__}", None
        if 200 <= status <= 299:
            return None, None
        min_pause = _retry_after_secs(retry_after) if status in _RETRIED_STATUSES else None
        return f"{self._webhook.target}: HTTP status {status}", min_pause

    def _described(self, error: OSError) -> str:
        reason = getattr(error, "reason", error)  # urllib wraps the system's error
        text = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason)
        return self.redacted(text[:200] or type(reason).__name__)

    def _record_outcome(self, num_alerts: int, error: str | None) -> None:
        self._waiting = 0
        if error is None:
            self._sent += num_alerts
            return
        self._dropped += num_alerts
        self._last_error = error
        if not self._has_warned:
            self._has_warned = True
            self._warn(f"alerts could not be delivered (counted in logger.webhook.dropped): {error}")

    @staticmethod
    def _warn(message: str) -> None:
        with contextlib.suppress(HolterWarning):  # raised if warnings are errors
            warnings.warn(message, HolterWarning, stacklevel=3)


def _retry_after_secs(header: str | None) -> float:
    """Parse `Retry-After`, up to 60 seconds; dates are ignored."""
    is_number = header is not None and header.isascii() and header.isdecimal() and len(header) < 10
    return min(float(header), _MAX_PAUSE_SECS) if is_number and header else 0.0
