"""What a request is refused with: a status, and words that say what was wrong and what was expected."""

__all__ = ["Refused"]


class Refused(Exception):  # noqa: N818  a refusal is an answer, not a fault
    """Ends a request with an error that the client is told.

    Args:
        status: The HTTP status, 400 to 599.
        message: What was wrong, what was expected, what to do; lower-case.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
