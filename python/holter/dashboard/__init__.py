"""The dashboard: shows runs in the browser, live and read-only. By default only this machine can reach it.

`serve` runs it (`holter serve`), `start` runs it in the background, `make_app` returns the ASGI application. Needs the
extra `serve`. Imports are lazy, so that the server starts within a second.
"""

from typing import TYPE_CHECKING

from holter.dashboard._server import Dashboard, serve, start

if TYPE_CHECKING:
    from holter.dashboard.api._app import make_app

__all__ = ["Dashboard", "make_app", "serve", "start"]


def __getattr__(name: str) -> object:
    """Import `make_app` on first use, because it needs the extra `serve`."""
    if name != "make_app":
        raise AttributeError(f"module 'holter.dashboard' has no attribute {name!r}")
    from holter.dashboard.api._app import make_app

    return make_app
