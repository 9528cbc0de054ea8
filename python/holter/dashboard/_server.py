"""Runs the dashboard: picks a port, makes a token where one is needed, starts uvicorn, ends it in good time.

The one file of the dashboard that starts threads: for `start`, which returns, for opening the browser, and for what the
first page would wait for.
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
_PORTS_TRIED: Final = 20
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
    """Serve the runs below a folder until SIGINT or SIGTERM comes.

    Args:
        root: A folder that holds runs, or one run. It need not be there yet.
        host: The address to listen on. Anything but this machine's own loopback needs a token.
        port: The port; if None, 6116 or the next one that is free.
        token: What clients must know, at least 16 characters. If None, one is made where `host` needs one.
        open_browser: Whether the page is opened in the user's browser.
        notebook: Whether a page of the same machine may show the dashboard in a frame, as Jupyter does.
        allowed_hosts: Further names that the server is reached by.
        announce: Called with the address to open, token included, once the server answers; prints it if None.

    Raises:
        OSError: If the port is in use, or the address is not this machine's.
        ValueError: If the token is no good one.
        ImportError: If the extra `serve` is not installed.
    """
    import click

    with _Prepared(root, host, port, token, notebook=notebook, allowed_hosts=allowed_hosts) as prepared:

        def ready() -> None:
            (announce or click.echo)(prepared.url)
            if open_browser:
                threading.Thread(target=_open, args=(prepared.url,), daemon=True).start()

        server = prepared.server(ready)
        with contextlib.suppress(KeyboardInterrupt):  # how it ends; uvicorn passes it on when all is closed
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
    """Serve the runs below a folder in the background, as in a notebook; takes what `serve` takes.

    Returns:
        The running dashboard; `stop` ends it, and so does leaving its `with` block.
    """
    return Dashboard(_Prepared(root, host, port, token, notebook=notebook, allowed_hosts=allowed_hosts))


class Dashboard:
    """A dashboard that runs on a thread of its own; made by `start`."""

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
            raise RuntimeError(f"the dashboard has not started within {_START_SECS:g} s")

    @property
    def url(self) -> str:
        """The address to open, token included."""
        return self._prepared.url

    def stop(self) -> None:
        """End the server and wait until it has ended; idempotent."""
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
    """A listening socket and the application behind it, ready to run."""

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
            import uvicorn  # noqa: F401  here, so that what is missing is said before a port is taken

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
        """Return the server, which calls `on_ready` once it answers."""
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
            log_config=None,  # what is logged, and where, is the program's choice
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
    """A socket that listens on the port, or on the first free one.

    Raises:
        OSError: If there is none.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise OSError(f"there is no address for the host {host!r}: {error.strerror}") from error
    family, address = min((item[0], item[4][0]) for item in found)  # IPv4 where there is a choice
    ports = [port] if port is not None else [*range(PORT, PORT + _PORTS_TRIED), 0]
    while True:
        candidate = ports.pop(0)
        try:
            listener = socket.create_server((str(address), candidate), family=family)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not ports:
                raise _why_not(error, host, candidate) from error
        else:
            # asyncio does so only for sockets that name their protocol; else each answer waits 40 ms for an ACK.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return listener


def _why_not(error: OSError, host: str, port: int) -> OSError:
    if error.errno == errno.EADDRINUSE:
        advice = "choose another one, or none to take the next that is free"
        return OSError(errno.EADDRINUSE, f"port {port} of {host} is in use; {advice}")
    if error.errno == errno.EACCES:
        return PermissionError(errno.EACCES, f"port {port} is for the system; choose one of 1024 or above")
    return OSError(error.errno or 0, f"cannot listen on {host} port {port}: {error.strerror or error}")


def _url(host: str, port: int, token: str | None) -> str:
    """The address to open; of a server on all addresses, by the machine's name."""
    name = socket.gethostname() if host in ("0.0.0.0", "::", "") else host  # noqa: S104  compared, not bound
    shown = f"[{name}]" if ":" in name else name
    return f"http://{shown}:{port}/" + (f"?token={token}" if token else "")


def _open(url: str) -> None:
    import webbrowser

    webbrowser.open(url)
