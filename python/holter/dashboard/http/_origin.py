"""Middleware: rejects requests that another site makes the user's browser send.

Checks the Host header against DNS rebinding, and Origin and Sec-Fetch-Site against cross-site requests. The requests it
rejects never reach a handler.
"""

import re
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from holter.dashboard.http._errors import RequestError
from holter.dashboard.http._hosts import is_address, is_loopback
from holter.dashboard.http._json import error_response

__all__ = ["OriginCheck"]

_LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+?)\.?(?::[0-9]{1,5})?")


class OriginCheck:
    """ASGI middleware that checks Host, Origin and Sec-Fetch-Site.

    Args:
        app: The application.
        host: The address that the server listens on.
        notebook: Whether a page on the same machine may show the dashboard in a frame.
        allowed_hosts: Additional host names of the server.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        host: str = "127.0.0.1",
        notebook: bool = False,
        allowed_hosts: Collection[str] = (),
    ) -> None:
        self._app = app
        self._is_local = is_loopback(host)
        self._hosts = _LOOPBACK_HOSTS | {name.lower().strip("[]").rstrip(".") for name in (host, *allowed_hosts)}
        self._frame_destinations = ("document", "iframe") if notebook else ("document",)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        headers = Headers(scope=scope)
        try:
            self._check_host(headers)
            self._check_site(scope, headers)
        except RequestError as error:
            await error_response(error)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _check_host(self, headers: Headers) -> None:
        """Reject a host name that another site may have pointed to this machine (DNS rebinding)."""
        given = headers.getlist("host")
        match = _HOST.fullmatch(given[0]) if len(given) == 1 else None
        name = match["name"].strip("[]").lower() if match else ""
        # Addresses cannot be rebound. A server on 0.0.0.0 has all addresses of the machine.
        if name in self._hosts or (not self._is_local and is_address(name)):
            return
        raise RequestError(421, "the Host header is not a name of this server; pass --allow-host NAME to allow it")

    def _check_site(self, scope: Scope, headers: Headers) -> None:
        """Reject requests from pages of other sites, except navigation to the page through a link."""
        host = headers["host"].lower()
        # Either scheme, because a proxy in front of the server may use HTTPS.
        if headers.get("origin", f"http://{host}").lower() not in (f"http://{host}", f"https://{host}"):
            raise RequestError(403, "the Origin header names another site; expected the dashboard's own page")
        site = headers.get("sec-fetch-site", "none")
        if site in ("none", "same-origin") or self._is_navigation(scope, headers):
            return
        raise RequestError(403, f"the request is from another site (Sec-Fetch-Site: {_sanitized(site)})")

    def _is_navigation(self, scope: Scope, headers: Headers) -> bool:
        """Whether the request follows a link to the page, which contains no data of any run."""
        return (
            scope["path"] == "/"
            and scope["method"] == "GET"
            and headers.get("sec-fetch-mode") == "navigate"
            and headers.get("sec-fetch-dest") in self._frame_destinations
        )


def _sanitized(text: str) -> str:
    return re.sub(r"[^a-z-]", "?", text)[:20]
