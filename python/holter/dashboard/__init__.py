"""The dashboard: runs in the browser, live, read-only, from this machine alone unless the user says otherwise.

`serve` is what `holter serve` calls, `start` is the same in the background, `make_app` is the ASGI application.
Needs the extra `serve`. Nothing heavy is imported before it is needed: a server answers within a second.
"""

from typing import TYPE_CHECKING

from holter.dashboard._server import Dashboard, serve, start

if TYPE_CHECKING:
    from holter.dashboard.api._app import make_app

__all__ = ["Dashboard", "make_app", "serve", "start"]


def __getattr__(name: str) -> object:
    """Load the application when it is asked for: it needs the extra, which the message of `serve` tells of."""
    if name != "make_app":
        raise AttributeError(f"module 'holter.dashboard' has no attribute {name!r}")
    from holter.dashboard.api._app import make_app

    return make_app
