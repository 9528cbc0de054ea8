"""Middleware: adds the security headers to every response, errors included."""

import functools

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from holter._plotly import plotly_file, style_attribute_hashes, style_hashes

__all__ = ["SecurityHeaders", "content_security_policy"]

_NOTEBOOK_ORIGINS = "'self' http://localhost:* http://127.0.0.1:* https://localhost:* https://127.0.0.1:*"


def content_security_policy(*, notebook: bool = False) -> str:
    """Return the policy of every response: resources of this server only, no inline code, no `eval`, no frames.

    plotly.js adds one style sheet and sets a few constant `style` attributes. Their hashes are allowed.

    Args:
        notebook: Whether a page on the same machine may show the dashboard in a frame, as Jupyter does.
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
            "frame-ancestors " + (_NOTEBOOK_ORIGINS if notebook else "'none'"),
        ]
    )


@functools.cache
def _plotly_style_hashes() -> tuple[str, str]:
    return " ".join(style_hashes(plotly_file().read_text("utf-8"))), " ".join(style_attribute_hashes())


class SecurityHeaders:
    """ASGI middleware that adds security headers and, unless the response has its own, `Cache-Control: no-store`.

    Args:
        app: The application.
        notebook: Whether a page on the same machine may show the dashboard in a frame.
    """

    def __init__(self, app: ASGIApp, *, notebook: bool = False) -> None:
        self._app = app
        self._headers = {
            "content-security-policy": content_security_policy(notebook=notebook),
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "cross-origin-opener-policy": "same-origin",
            "cross-origin-resource-policy": "same-origin",
            **({} if notebook else {"x-frame-options": "DENY"}),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers)
