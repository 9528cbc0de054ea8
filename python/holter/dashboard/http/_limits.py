"""Middleware: limits requests to GET, HEAD and POST, and bodies to JSON of at most 1 MiB."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from holter.dashboard.http._errors import RequestError
from holter.dashboard.http._json import error_response

__all__ = ["MAX_BODY_BYTES", "RequestLimits"]

MAX_BODY_BYTES = 1 << 20

_METHODS = ("GET", "HEAD", "POST")


class RequestLimits:
    """ASGI middleware that checks the method, and the type and size of a body.

    Args:
        app: The application. Reading too large a body raises a `RequestError` in it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        try:
            _check(scope)
        except RequestError as error:
            await error_response(error)(scope, receive, send)
        else:
            await self._app(scope, _limited(receive) if scope["method"] == "POST" else receive, send)


def _check(scope: Scope) -> None:
    if scope["method"] not in _METHODS:
        message = f"the method is {scope['method']}; expected one of {', '.join(_METHODS)}"
        raise RequestError(405, message, {"allow": ", ".join(_METHODS)})
    if scope["method"] == "POST":
        _check_body(Headers(scope=scope))


def _check_body(headers: Headers) -> None:
    # A form of another site cannot send this type without a preflight request, which gets a 405.
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise RequestError(415, "the body must be JSON; send Content-Type: application/json")
    length = headers.get("content-length", "0")
    if not length.isdecimal() or len(length) > 20:
        raise RequestError(400, "the Content-Length header is not a number")
    if int(length) > MAX_BODY_BYTES:
        raise _too_large()


def _limited(receive: Receive) -> Receive:
    """Return an ASGI `receive` that raises once the body is too large, for bodies without a Content-Length."""
    num_bytes = 0

    async def receive_limited() -> Message:
        nonlocal num_bytes
        message = await receive()
        num_bytes += len(message.get("body", b""))
        if num_bytes > MAX_BODY_BYTES:
            raise _too_large()
        return message

    return receive_limited


def _too_large() -> RequestError:
    return RequestError(413, f"the body is larger than {MAX_BODY_BYTES} bytes; request less at a time")
