"""One HTTP POST to a webhook, with a deadline for the whole request. Redirects are not followed.

Proxies come from `https_proxy`, `http_proxy` and `no_proxy`, as urllib reads them.
"""

import http.client
import io
import socket
import urllib.request
from collections.abc import Callable
from functools import partial
from typing import Any

__all__ = ["post"]


def post(url: str, body: bytes, user_agent: str, secs_left: Callable[[], float]) -> tuple[int, str | None]:
    """Post JSON, and return the status and the `Retry-After` header. The response body is not read.

    Args:
        url: An http or https URL.
        body: The JSON, UTF-8.
        user_agent: The `User-Agent` header.
        secs_left: Returns the seconds until the deadline; called before each wait.

    Raises:
        OSError: If no valid HTTP response arrives before the deadline.
    """
    headers = {"Content-Type": "application/json", "User-Agent": user_agent}
    request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310  checked by Webhook
    # A bare opener, because the default one also follows redirects and opens files and FTP.
    opener = urllib.request.OpenerDirector()
    opener.add_handler(urllib.request.ProxyHandler())
    opener.add_handler(_Handler(secs_left))
    try:
        with opener.open(request, timeout=_positive(secs_left())) as response:
            return response.status, response.headers.get("Retry-After")
    except http.client.HTTPException as error:
        raise ConnectionError(f"invalid HTTP response ({type(error).__name__})") from error


class _Handler(urllib.request.AbstractHTTPHandler):
    """Opens http and https connections whose responses are bounded by the deadline."""

    def __init__(self, secs_left: Callable[[], float]) -> None:
        super().__init__()
        self._secs_left = secs_left

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(self._connection, http.client.HTTPConnection), request)

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(self._connection, http.client.HTTPSConnection), request)

    http_request = https_request = urllib.request.AbstractHTTPHandler.do_request_

    def _connection(
        self, kind: type[http.client.HTTPConnection], host: str, **arguments: Any
    ) -> http.client.HTTPConnection:
        connection = kind(host, **arguments)
        connection.response_class = self._response  # type: ignore[assignment]  # http.client only calls it
        return connection

    def _response(self, connection: socket.socket, *arguments: Any, **named: Any) -> http.client.HTTPResponse:
        response = http.client.HTTPResponse(connection, *arguments, **named)
        response.fp = io.BufferedReader(_DeadlineReader(response.fp.detach(), connection, self._secs_left))
        return response


class _DeadlineReader(io.RawIOBase):
    """Reads from a socket until a deadline.

    urllib's `timeout` cannot do this: it applies to each `recv`, so a server that sends a byte now and then would hold
    the thread forever.
    """

    def __init__(self, raw: io.RawIOBase, connection: socket.socket, secs_left: Callable[[], float]) -> None:
        self._raw = raw
        self._connection = connection
        self._secs_left = secs_left

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._connection.settimeout(_positive(self._secs_left()))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _positive(secs: float) -> float:
    if secs <= 0:
        raise TimeoutError("timed out")
    return secs
