"""Runs the dashboard: picks a port, generates a token if required, starts uvicorn, and stops it promptly.

This is the only module of the dashboard that starts threads: for `start`, for opening the browser, and for warming up.
"""

import contextlib
import errno
import os
import secrets
import socket
import threading
from collections.abc import Callable, Collection
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Final

from holter.dashboard.http._hosts import is_loopback

if TYPE_CHECKING:
    import uvicorn

    from holter.dashboard.api._app import App

__all__ = ["PORT", "Dashboard", "serve", "start"]

PORT: Final = 6116
_NUM_PORTS: Final = 20
_STOP_SECS: Final = 1
_MAX_CONNECTIONS: Final = 512
_START_SECS: Final = 30.0


def serve(
    root: str | os.PathLike[str] = "runs",
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    token: str | None = None,
    open_browser: bool = False,
    notebook: bool = False,
    allowed_hosts: Collection[str] = (),
    announce: Callable[[str], object] | None = None,
) -> None:
    """Serve the runs below a folder until SIGINT or SIGTERM.

    Args:
        root: A folder of runs, or one run. It may be missing and appear later.
        host: The address to listen on. Every address except loopback requires a token.
        port: The port; if None, 6116 or the next free one.
        token: The token that clients must send, at least 16 characters. If None, it is generated if `host` requires it.
        open_browser: Whether to open the page in the user's browser.
        notebook: Whether a page on the same machine may show the dashboard in a frame, as Jupyter does.
        allowed_hosts: Additional host names of the server.
        announce: Called with the address to open, including the token, once the server is ready; prints it if None.

    Raises:
        OSError: If the port is in use, or the address does not belong to this machine.
        ValueError: If the token is too short or has invalid characters.
        ImportError: If the extra `serve` is not installed.
    """
    import click

    with _Prepared(root, host, port, token, notebook=notebook, allowed_hosts=allowed_hosts) as prepared:

        def ready() -> None:
            (announce or click.echo)(prepared.url)
            if open_browser:
                threading.Thread(target=_open, args=(prepared.url,), daemon=True).start()

        server = prepared.server(ready)
        with contextlib.suppress(KeyboardInterrupt):  # uvicorn re-raises it after a graceful shutdown
            server.run(sockets=[prepared.listener])


def start(
    root: str | os.PathLike[str] = "runs",
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    token: str | None = None,
    notebook: bool = False,
    allowed_hosts: Collection[str] = (),
) -> "Dashboard":
    """Serve the runs below a folder in the background, for example in a notebook; see `serve` for the arguments.

    Returns:
        The running dashboard; stop it with `stop`, or use it as a context manager.
    """
    return Dashboard(_Prepared(root, host, port, token, notebook=notebook, allowed_hosts=allowed_hosts))


class Dashboard:
    """A dashboard that runs on a background thread; returned by `start`."""

    def __init__(self, prepared: "_Prepared") -> None:
        self._prepared = prepared
        started = threading.Event()
        self._server = prepared.server(started.set)

        def run() -> None:
            try:
                self._server.run(sockets=[prepared.listener])
            finally:
                started.set()

        self._thread = threading.Thread(target=run, name="holter-dashboard", daemon=True)
        self._thread.start()
        if not started.wait(_START_SECS) or not self._server.started:
            self.stop()
            raise RuntimeError(f"the dashboard did not start within {_START_SECS:g} s")

    @property
    def url(self) -> str:
        """The address to open, including the token."""
        return self._prepared.url

    def stop(self) -> None:
        """Stop the server and wait for it; idempotent."""
        self._server.should_exit = True
        self._prepared.app.live.stop()
        self._thread.join()
        self._prepared.close()

    def __enter__(self) -> "Dashboard":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<Dashboard of {str(self._prepared.app.folder.root)!r} at {self.url}>"


class _Prepared:
    """A listening socket and its application, ready to run."""

    def __init__(
        self,
        root: str | os.PathLike[str],
        host: str,
        port: int | None,
        token: str | None,
        *,
        notebook: bool,
        allowed_hosts: Collection[str],
    ) -> None:
        try:
            import uvicorn  # noqa: F401  before a port is taken, to report a missing package

            from holter.dashboard.api._app import make_app
        except ModuleNotFoundError as error:
            raise ImportError(f"the dashboard needs {error.name}: pip install 'holter[serve]'") from error
        if token is None and not is_loopback(host):
            token = secrets.token_urlsafe(32)
        names = {*allowed_hosts} if is_loopback(host) else {socket.gethostname(), *allowed_hosts}
        self.app: App = make_app(root, host=host, token=token, notebook=notebook, allowed_hosts=names)
        self.listener = _listen(host, port)
        self.url = _url(host, self.listener.getsockname()[1], token)

    def server(self, on_ready: Callable[[], object]) -> "uvicorn.Server":
        """Return the server, which calls `on_ready` once it accepts requests."""
        import uvicorn

        app = self.app

        class Server(uvicorn.Server):
            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                on_ready()
                threading.Thread(target=app.warm_up, name="holter-warm-up", daemon=True).start()

            def handle_exit(self, sig: int, frame: FrameType | None) -> None:
                app.live.stop()  # first: uvicorn waits for open streams
                super().handle_exit(sig, frame)

        config = uvicorn.Config(
            app,
            access_log=False,
            date_header=False,
            http="h11",
            lifespan="off",
            limit_concurrency=_MAX_CONNECTIONS,
            log_config=None,  # logging belongs to the program
            loop="asyncio",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=_STOP_SECS,
            timeout_keep_alive=30,
            ws="none",
        )
        return Server(config)

    def close(self) -> None:
        self.listener.close()

    def __enter__(self) -> "_Prepared":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _listen(host: str, port: int | None) -> socket.socket:
    """Return a socket that listens on the port, or on the first free one if it is None.

    Raises:
        OSError: If no socket can listen.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise OSError(f"cannot resolve the host {host!r}: {error.strerror}") from error
    family, address = min((item[0], item[4][0]) for item in found)  # prefer IPv4
    ports = [port] if port is not None else [*range(PORT, PORT + _NUM_PORTS), 0]
    while True:
        candidate = ports.pop(0)
        try:
            listener = socket.create_server((str(address), candidate), family=family)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not ports:
                raise _explain(error, host, candidate) from error
        else:
            # asyncio sets this only if the protocol is explicit; without it each response waits 40 ms for an ACK.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return listener


def _explain(error: OSError, host: str, port: int) -> OSError:
    if error.errno == errno.EADDRINUSE:
        hint = "choose another port, or omit it to use the next free one"
        return OSError(errno.EADDRINUSE, f"port {port} on {host} is already in use; {hint}")
    if error.errno == errno.EACCES:
        return PermissionError(errno.EACCES, f"port {port} is reserved for the system; choose 1024 or above")
    return OSError(error.errno or 0, f"cannot listen on {host} port {port}: {error.strerror or error}")


def _url(host: str, port: int, token: str | None) -> str:
    """Return the address to open; for a server on all addresses, it has the machine's name."""
    name = socket.gethostname() if host in ("0.0.0.0", "::", "") else host  # noqa: S104  compared, not bound
    shown = f"[{name}]" if ":" in name else name
    return f"http://{shown}:{port}/" + (f"?token={token}" if token else "")


def _open(url: str) -> None:
    import webbrowser

    webbrowser.open(url)
