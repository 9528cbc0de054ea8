"""Middleware: requires a token, as a cookie or in the Authorization header."""

import hashlib
import hmac
import re
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from holter.dashboard.http._errors import RequestError
from holter.dashboard.http._hosts import is_loopback
from holter.dashboard.http._json import error_response

__all__ = ["TokenAuth"]

_MIN_TOKEN_CHARS = 16
_TOKEN = re.compile(r"[A-Za-z0-9._~-]+")
_UNAUTHORIZED_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Holter</title>
<h1>This dashboard needs its token</h1>
<p>Open the address that <code>holter serve</code> printed when it started. It ends in <code>?token=…</code>.</p>
<p>If you followed a link from another page, <a href="/">open the dashboard</a> again.</p></html>
"""


class TokenAuth:
    """ASGI middleware that rejects requests without the token, except `/healthz`.

    A token in the address of the page moves into a cookie, so that it stays out of bookmarks and screenshots.

    Args:
        app: The application.
        host: The address that the server listens on.
        token: The token; None, only if `host` is a loopback address, to require none.

    Raises:
        ValueError: If the token is missing, too short, or has characters that a URL must escape.
    """

    def __init__(self, app: ASGIApp, *, host: str = "127.0.0.1", token: str | None = None) -> None:
        self._app = app
        if token is None and not is_loopback(host):
            raise ValueError(f"other machines can reach a server on {host!r}, so it needs a token; pass token=")
        if token is not None and not (len(token) >= _MIN_TOKEN_CHARS and _TOKEN.fullmatch(token)):
            raise ValueError(
                f"the token must have at least {_MIN_TOKEN_CHARS} characters of A-Z, a-z, 0-9 and ._~-; "
                "python -c 'import secrets; print(secrets.token_urlsafe())' prints one"
            )
        self._token = None if token is None else token.encode()
        # Cookies ignore the port, so each server on a machine needs a different cookie name.
        self._cookie = "holter_" + hashlib.sha256(self._token or b"").hexdigest()[:12]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if self._token is None or scope["path"] == "/healthz":
            await self._app(scope, receive, send)
            return
        try:
            response = self._authenticate(scope, self._token)
        except RequestError as error:
            response = error_response(error)
        await (response or self._app)(scope, receive, send)

    def _authenticate(self, scope: Scope, token: bytes) -> Response | None:
        """Return None if the request has the token, or a response that redirects or explains.

        Raises:
            RequestError: 401 if the token is missing or wrong.
        """
        headers = Headers(scope=scope)
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        is_page = scope["path"] == "/"
        query_tokens = [value for key, value in query if key == "token"] if is_page else []
        if query_tokens:
            if not all(_equal(value, token) for value in query_tokens):
                raise RequestError(401, "the token is wrong; open the address that `holter serve` printed")
            rest = urlencode([(key, value) for key, value in query if key != "token"])
            response = RedirectResponse("/?" + rest if rest else "/", 303)
            is_https = scope["scheme"] == "https"
            response.set_cookie(self._cookie, token.decode(), httponly=True, samesite="strict", secure=is_https)
            return response
        if _equal(_bearer(headers) or _cookies(headers).get(self._cookie, ""), token):
            return None
        if is_page and "text/html" in headers.get("accept", ""):
            return HTMLResponse(_UNAUTHORIZED_PAGE, 401)
        raise RequestError(401, "the token is missing; send it as a cookie or as `Authorization: Bearer TOKEN`")


def _equal(given: str, token: bytes) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), token)


def _bearer(headers: Headers) -> str:
    scheme, _, value = headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else ""


def _cookies(headers: Headers) -> dict[str, str]:
    # Starlette's lenient parser: a malformed cookie of another program on this machine must not hide ours.
    return cookie_parser("; ".join(headers.getlist("cookie")))
