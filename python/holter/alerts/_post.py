"""One HTTP request to a webhook: no redirect is followed, and the time for all of it is bounded.

Proxies are those of `https_proxy`, `http_proxy` and `no_proxy`, as the standard library reads them.
"""

import http.client
import io
import socket
import urllib.request
from collections.abc import Callable
from functools import partial
from typing import Any

__all__ = ["post"]


def post(url: str, body: bytes, user_agent: str, left: Callable[[], float]) -> tuple[int, str | None]:
    """Post JSON, and return the status and the header `Retry-After`. What else is answered is not read.

    Args:
        url: An http or https URL.
        body: The JSON, UTF-8.
        user_agent: Who says that it is asking.
        left: How many seconds are left; asked again before each wait.

    Raises:
        OSError: If there is no answer in time, or none that is HTTP.
    """
    headers = {"Content-Type": "application/json", "User-Agent": user_agent}
    request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310  checked by Webhook
    # Only what is needed: the usual opener also follows redirects, and reads files and FTP.
    opener = urllib.request.OpenerDirector()
    opener.add_handler(urllib.request.ProxyHandler())
    opener.add_handler(_Handler(left))
    try:
        with opener.open(request, timeout=_positive(left())) as reply:
            return reply.status, reply.headers.get("Retry-After")
    except http.client.HTTPException as error:
        raise ConnectionError(f"the answer is no HTTP ({type(error).__name__})") from error


class _Handler(urllib.request.AbstractHTTPHandler):
    """Opens connections whose answers are waited for no longer than what is left."""

    def __init__(self, left: Callable[[], float]) -> None:
        super().__init__()
        self._left = left

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(self._connection, http.client.HTTPConnection), request)

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(self._connection, http.client.HTTPSConnection), request)

    http_request = https_request = urllib.request.AbstractHTTPHandler.do_request_

    def _connection(
        self, kind: type[http.client.HTTPConnection], host: str, **arguments: Any
    ) -> http.client.HTTPConnection:
        connection = kind(host, **arguments)
        connection.response_class = partial(_Reply, self._left)  # type: ignore[assignment]  # it is only called
        return connection


class _Reply(http.client.HTTPResponse):
    """An answer, each piece of which may take what is left: a socket's own time limit begins anew with each piece."""

    def __init__(self, left: Callable[[], float], connection: socket.socket, *arguments: Any, **named: Any) -> None:
        super().__init__(connection, *arguments, **named)
        self.fp = io.BufferedReader(_Pieces(self.fp.detach(), connection, left))


class _Pieces(io.RawIOBase):
    def __init__(self, raw: io.RawIOBase, connection: socket.socket, left: Callable[[], float]) -> None:
        self._raw = raw
        self._connection = connection
        self._left = left

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._connection.settimeout(_positive(self._left()))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _positive(secs: float) -> float:
    if secs <= 0:
        raise TimeoutError("timed out")
    return secs
