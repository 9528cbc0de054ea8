"""How a webhook fares."""

from typing import NamedTuple

__all__ = ["Delivery"]


class Delivery(NamedTuple):
    """What became of the alerts that were to be sent.

    Attributes:
        sent: Those that a message told of which was answered by 200 to 299.
        waiting: Those whose message is under way.
        dropped: Those that were given up, or came too fast to be kept; of the latter also the less serious ones.
        last_error: What last went wrong, also if it works again.
    """

    sent: int
    waiting: int
    dropped: int
    last_error: str | None
