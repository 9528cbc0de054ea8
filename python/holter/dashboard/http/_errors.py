"""The error that ends a request, and how it looks as JSON."""

from collections.abc import Mapping

from msgspec import Struct

__all__ = ["ErrorDetail", "ErrorResponse", "RequestError"]


class RequestError(Exception):
    """Ends a request with an error response.

    Args:
        status: The HTTP status, 400 to 599.
        message: What is wrong, what was expected, what to do; lower-case.
        headers: Additional headers of the response.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers


class ErrorDetail(Struct, frozen=True):
    """What is wrong, what was expected, and what to do."""

    message: str


class ErrorResponse(Struct, frozen=True):
    """The body of every error response."""

    error: ErrorDetail
