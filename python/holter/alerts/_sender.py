"""Sends alerts to a webhook, from a daemon thread of its own: neither the training's nor the writer's.

The thread sleeps until there is an alert. What is waiting is bounded by what the core keeps, 1000 alerts; what does not
arrive is counted, and a `HolterWarning` tells of the first time. Closing waits 5 seconds at most.
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

__all__ = ["CLOSE_SECS", "NUM_TRIES", "Feed", "Sender", "start"]

CLOSE_SECS = 5.0
NUM_TRIES = 4

_GATHER_SECS = 0.2  # what goes wrong in one layer goes wrong in the others: one message for all
_FIRST_PAUSE_SECS = 1.0
_MAX_PAUSE_SECS = 60.0
_IDLE_SECS = 3600.0
_AGAIN = {408, 425, 429, 500, 502, 503, 504}


class Feed(Protocol):
    """Where the alerts come from: the extension's."""

    def wait(self, timeout_secs: float, /) -> tuple[list[str], int, bool]:
        """Return the lines of new alerts, how many were missed, and whether there will be no more."""


def start(webhook: Webhook, feed: Feed, name: str, rank: int) -> "Sender":
    """Start sending the alerts of a run of this name."""
    return Sender(webhook, feed, {"name": name, "rank": rank})


class Sender:
    """Sends what the feed gives until that is over, or until it is closed."""

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
        """What became of the alerts so far."""
        return Delivery(self._sent, self._waiting, self._dropped, self._last_error)

    def redacted(self, text: str) -> str:
        """Return the text without the webhook's URL."""
        return self._webhook.redacted(text)

    def close(self) -> None:
        """Send what is there, and end, within 5 seconds. For a feed that is over; does nothing in a forked child."""
        if os.getpid() != self._process_id or self._closing.is_set():
            return
        self._close_by = time.monotonic() + CLOSE_SECS
        self._closing.set()
        self._thread.join(CLOSE_SECS)
        if self._thread.is_alive():
            self._warn(f"{self._waiting} alerts have not reached {self._webhook.target} in {CLOSE_SECS:g} seconds")

    def _work(self) -> None:
        is_over = False
        while not is_over:
            alerts, is_over = self._take(_IDLE_SECS)
            if not alerts:
                continue
            self._closing.wait(_GATHER_SECS)
            later, is_over = self._take(0)
            alerts += later
            self._waiting = len(alerts)
            error = self._deliver(body(self._run, alerts, self._dropped))
            self._conclude(len(alerts), error)
            self._closing.wait(self._webhook.interval_secs)

    def _take(self, timeout_secs: float) -> tuple[list[dict[str, Any]], bool]:
        """The new alerts that are serious enough, and whether there will be no more."""
        lines, missed, is_over = self._feed.wait(timeout_secs)
        self._dropped += missed
        least = LEVELS.index(self._webhook.level)
        alerts = [json.loads(line) for line in lines]
        return [alert for alert in alerts if LEVELS.index(alert["level"]) >= least], is_over

    def _deliver(self, message: bytes) -> str | None:
        """Send a message, again if need be; what went wrong with the last try, None if nothing did."""
        pause = _FIRST_PAUSE_SECS
        for num_left in range(NUM_TRIES - 1, -1, -1):
            error, wish = self._try(message)
            if error is None or wish is None or not num_left:
                return error
            self._last_error = error
            # Closing ends a pause; what time is left is then the tries'.
            self._closing.wait(max(pause, wish))
            pause *= 2
            if time.monotonic() >= self._close_by:
                return error
        return None

    def _try(self, message: bytes) -> tuple[str | None, float | None]:
        """What went wrong, if anything did, and after how many seconds at least to try again; None if not at all."""
        end = time.monotonic() + self._webhook.timeout_secs
        try:
            status, retry_after = post(
                self._webhook.url, message, "holter", lambda: min(end, self._close_by) - time.monotonic()
            )
        except OSError as error:
            return f"{self._webhook.target}: {self._described(error)}", 0.0
        except Exception as error:  # noqa: BLE001  a defect, or memory: not worth a training either
            return f"{self._webhook.target}: {type(error).__name__}", None
        if 200 <= status <= 299:
            return None, None
        return f"{self._webhook.target}: answered {status}", _pause_wished(retry_after) if status in _AGAIN else None

    def _described(self, error: OSError) -> str:
        reason = getattr(error, "reason", error)  # urllib wraps what the system said
        text = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason)
        return self.redacted(text[:200] or type(reason).__name__)

    def _conclude(self, num_alerts: int, error: str | None) -> None:
        self._waiting = 0
        if error is None:
            self._sent += num_alerts
            return
        self._dropped += num_alerts
        self._last_error = error
        if not self._has_warned:
            self._has_warned = True
            self._warn(f"alerts do not arrive and are counted in logger.webhook.dropped: {error}")

    @staticmethod
    def _warn(message: str) -> None:
        with contextlib.suppress(HolterWarning):  # where warnings are errors
            warnings.warn(message, HolterWarning, stacklevel=3)


def _pause_wished(retry_after: str | None) -> float:
    """The seconds of a `Retry-After`, 60 at most; a date is not heeded."""
    is_number = retry_after is not None and retry_after.isascii() and retry_after.isdecimal() and len(retry_after) < 10
    return min(float(retry_after), _MAX_PAUSE_SECS) if is_number and retry_after else 0.0
