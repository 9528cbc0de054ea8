"""Who may ask, and how: stands before everything else, and signs every answer with the security headers.

A page that the user has open elsewhere must not be able to read runs or to have anything done (Host against DNS
rebinding, Origin and Sec-Fetch-Site against other sites), and nobody on the network may without the token.
What is refused here never reaches a handler.
"""

import functools
import hashlib
import hmac
import re
from collections.abc import Collection, Mapping
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from holter._plotly import plotly_file, style_attribute_hashes, style_hashes
from holter.dashboard.http._errors import Refused
from holter.dashboard.http._hosts import is_address, is_loopback
from holter.dashboard.http._json import error_response

__all__ = ["MAX_BODY_BYTES", "MIN_TOKEN_CHARS", "Guard", "content_security_policy"]

MAX_BODY_BYTES = 1 << 20
MIN_TOKEN_CHARS = 16

_METHODS = ("GET", "HEAD", "POST")
_LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
_TOKEN = re.compile(r"[A-Za-z0-9._~-]+")
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+?)\.?(?::[0-9]{1,5})?")
_NOTEBOOKS = "'self' http://localhost:* http://127.0.0.1:* https://localhost:* https://127.0.0.1:*"
_LOCKED_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Holter</title>
<h1>This dashboard needs its token</h1>
<p>Open the address that <code>holter serve</code> printed when it started: it ends in <code>?token=…</code>.</p>
<p>If a link on another page has just brought you here: <a href="/">open the dashboard</a>.</p></html>
"""


def content_security_policy(*, notebook: bool = False) -> str:
    """Return the policy of every answer: only what this server serves, nothing inline, no `eval`, no frames.

    plotly.js adds one style sheet and sets a few constant `style` attributes. Their hashes are allowed.

    Args:
        notebook: Whether a page of the same machine may show the dashboard in a frame, as Jupyter does.
    """
    sheets, attributes = _plotly_style_hashes()
    return "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            f"style-src 'self' {sheets}",
            f"style-src-attr 'unsafe-hashes' {attributes}",
            "connect-src 'self'",
            "img-src 'self' data: blob:",
            "font-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors " + (_NOTEBOOKS if notebook else "'none'"),
        ]
    )


@functools.cache
def _plotly_style_hashes() -> tuple[str, str]:
    return " ".join(style_hashes(plotly_file().read_text("utf-8"))), " ".join(style_attribute_hashes())


class Guard:
    """ASGI middleware that lets through what may be asked.

    Args:
        app: What answers.
        host: What the server listens on.
        token: What a client must know; None only where the server can be reached from its own machine alone.
        notebook: Whether a page of the same machine may show the dashboard in a frame.
        allowed_hosts: Further names that the server is reached by.

    Raises:
        ValueError: If the token is missing, too short, or has characters that an address would have to escape.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        host: str = "127.0.0.1",
        token: str | None = None,
        notebook: bool = False,
        allowed_hosts: Collection[str] = (),
    ) -> None:
        self._app = app
        self._is_local = is_loopback(host)
        if token is None and not self._is_local:
            raise ValueError(f"a server on {host!r} can be reached from other machines: it needs a token")
        if token is not None and not (len(token) >= MIN_TOKEN_CHARS and _TOKEN.fullmatch(token)):
            raise ValueError(
                f"a token has at least {MIN_TOKEN_CHARS} characters of A-Z, a-z, 0-9 and ._~-; "
                "python -c 'import secrets; print(secrets.token_urlsafe())' makes one"
            )
        self._token = None if token is None else token.encode()
        self._hosts = _LOOPBACK_HOSTS | {name.lower().strip("[]").rstrip(".") for name in (host, *allowed_hosts)}
        self._notebook = notebook
        # Cookies know no ports: each server on a machine needs a name of its own for its cookie.
        self._cookie = "holter_" + hashlib.sha256(self._token or b"").hexdigest()[:12]
        self._headers = {
            "content-security-policy": content_security_policy(notebook=notebook),
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            **({} if notebook else {"x-frame-options": "DENY"}),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let it through."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            raise ValueError(f"holter.dashboard answers HTTP alone, got a connection of type {scope['type']!r}")
        signed = _Signed(send, self._headers)
        try:
            answer = self._answer(scope)
            if answer is None:
                await self._app(scope, _bounded(scope, receive), signed)
                return
        except Refused as refused:
            if signed.has_started:
                raise
            allow = {"allow": ", ".join(_METHODS)} if refused.status == 405 else None
            answer = error_response(refused.status, refused.message, allow)
        await answer(scope, receive, signed)

    def _answer(self, scope: Scope) -> Response | None:
        """What the guard itself answers; None where the request may pass."""
        headers = Headers(scope=scope)
        if scope["method"] not in _METHODS:
            raise Refused(405, f"the method is {scope['method']}, expected one of {', '.join(_METHODS)}")
        self._check_host(headers)
        self._check_site(scope, headers)
        if scope["method"] == "POST":
            _check_body(headers)
        if self._token is None or scope["path"] == "/healthz":
            return None
        return self._check_token(scope, headers, self._token)

    def _check_host(self, headers: Headers) -> None:
        """Refuse a name that another machine's owner may have pointed here (DNS rebinding)."""
        given = headers.getlist("host")
        match = _HOST.fullmatch(given[0]) if len(given) == 1 else None
        name = match["name"].strip("[]").lower() if match else ""
        # An address cannot be rebound; behind 0.0.0.0 it may be any of the machine's.
        if name in self._hosts or (not self._is_local and is_address(name)):
            return
        raise Refused(421, "this server is not known by the name in the Host header; --allow-host NAME makes it known")

    def _check_site(self, scope: Scope, headers: Headers) -> None:
        """Refuse what the page of another site asks for; a link to the dashboard may be followed from anywhere."""
        host = headers["host"].lower()
        # Either scheme: a proxy in front may speak HTTPS.
        if headers.get("origin", f"http://{host}").lower() not in (f"http://{host}", f"https://{host}"):
            raise Refused(403, "the Origin header names another site; only the dashboard's own page may ask")
        site = headers.get("sec-fetch-site", "none")
        if site in ("none", "same-origin") or self._is_visit(scope, headers):
            return
        raise Refused(403, f"the request comes from another site (Sec-Fetch-Site: {_shown(site)})")

    def _is_visit(self, scope: Scope, headers: Headers) -> bool:
        """Whether somebody follows a link to the page, which holds nothing of any run."""
        places = ("document", "iframe") if self._notebook else ("document",)
        return (
            scope["path"] == "/"
            and scope["method"] == "GET"
            and headers.get("sec-fetch-mode") == "navigate"
            and headers.get("sec-fetch-dest") in places
        )

    def _check_token(self, scope: Scope, headers: Headers, token: bytes) -> Response | None:
        """Refuse who does not know the token; take one that came in the address out of it, into a cookie."""
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        is_page = scope["path"] == "/"
        in_address = [value for key, value in query if key == "token"] if is_page else []
        if in_address:
            if not all(_equal(value, token) for value in in_address):
                raise Refused(401, "the token is wrong; open the address that `holter serve` printed")
            rest = urlencode([(key, value) for key, value in query if key != "token"])
            answer = RedirectResponse("/?" + rest if rest else "/", 303)
            answer.set_cookie(
                self._cookie, token.decode(), httponly=True, samesite="strict", secure=scope["scheme"] == "https"
            )
            return answer
        if _equal(_bearer(headers) or _cookies(headers).get(self._cookie, ""), token):
            return None
        if is_page and "text/html" in headers.get("accept", ""):
            return HTMLResponse(_LOCKED_PAGE, 401)
        raise Refused(401, "this server asks for its token, as a cookie or as `Authorization: Bearer TOKEN`")


class _Signed:
    """`send` of ASGI that adds the headers, and remembers whether the answer has begun."""

    def __init__(self, send: Send, headers: Mapping[str, str]) -> None:
        self._send = send
        self._headers = headers
        self.has_started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_started = True
            headers = MutableHeaders(scope=message)
            for name, value in self._headers.items():
                headers[name] = value
            headers.setdefault("cache-control", "no-store")
        await self._send(message)


def _check_body(headers: Headers) -> None:
    # No form of another site can send this type without asking first, which is answered with 405.
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(415, "the body must be JSON: send Content-Type: application/json")
    length = headers.get("content-length", "0")
    if not length.isdecimal() or len(length) > 20:
        raise Refused(400, "the Content-Length header is not a number")
    if int(length) > MAX_BODY_BYTES:
        raise _too_large()


def _bounded(scope: Scope, receive: Receive) -> Receive:
    """`receive` of ASGI that gives up when a body is longer than it may be, also one that did not tell its length."""
    if scope["method"] != "POST":
        return receive
    num_bytes = 0

    async def receive_some() -> Message:
        nonlocal num_bytes
        message = await receive()
        num_bytes += len(message.get("body", b""))
        if num_bytes > MAX_BODY_BYTES:
            raise _too_large()
        return message

    return receive_some


def _too_large() -> Refused:
    return Refused(413, f"the body is larger than {MAX_BODY_BYTES} bytes; ask for less at once")


def _equal(given: str, token: bytes) -> bool:
    """Whether both are the same, in a time that does not tell how much of it is."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), token)


def _bearer(headers: Headers) -> str:
    scheme, _, value = headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else ""


def _cookies(headers: Headers) -> dict[str, str]:
    # Starlette's own parser: one odd cookie of another program on this machine does not hide ours.
    return cookie_parser("; ".join(headers.getlist("cookie")))


def _shown(text: str) -> str:
    return re.sub(r"[^a-z-]", "?", text)[:20]
