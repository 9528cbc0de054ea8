"""Webhook delivery statistics."""

from typing import NamedTuple

__all__ = ["Delivery"]


class Delivery(NamedTuple):
    """Webhook delivery statistics.

    Attributes:
        sent: Alerts delivered with a 2xx response.
        waiting: Alerts in the message that is being sent.
        dropped: Alerts that could not be delivered, or arrived faster than they could be kept (these include alerts
            below the webhook's level).
        last_error: The most recent error, kept even if later messages were delivered.
    """

    sent: int
    waiting: int
    dropped: int
    last_error: str | None
