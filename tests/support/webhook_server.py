"""An HTTP server on loopback with scripted responses, which stores the requests it receives."""

import contextlib
import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "hooks/T0/s3cr3t-of-the-hook"
"""The part of the URL that must not appear in any file or message."""


@dataclass(frozen=True)
class Request:
    """A received request."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def message(self) -> dict[str, Any]:
        """The body, which must be strict JSON."""

        def reject(constant: str) -> None:
            raise AssertionError(f"{constant} is not valid JSON")

        return json.loads(self.body, parse_constant=reject)


@dataclass
class WebhookServer:
    """The received requests and the next responses.

    Attributes:
        answers: For each request a status, `"hold"` (no response until `released`) or `"drip"` (one byte at a time).
            The last one repeats.
        headers: Headers of each response.
    """

    url: str
    answers: list[int | str]
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The bodies of the requests."""
        return [request.message for request in self.requests]


@contextlib.contextmanager
def webhook_server(*answers: int | str, certificate: tuple[str, str] | None = None) -> Iterator[WebhookServer]:
    """Serve on a free port; with TLS if a certificate and its key are given."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            request = Request(self.command, self.path, dict(self.headers), self.rfile.read(length))
            with lock:
                answer = state.answers.pop(0) if len(state.answers) > 1 else state.answers[0]
                state.requests.append(request)
            if answer == "hold":
                state.released.wait(60)
            elif answer == "drip":
                self.drip()
            else:
                self.send_response(int(answer))
                for name, value in state.headers.items():
                    self.send_header(name, value)
                self.end_headers()
            self.close_connection = True

        do_POST = do_GET = answer  # noqa: N815  http.server's names

        def drip(self) -> None:
            with contextlib.suppress(OSError):
                self.wfile.write(b"HTTP/1.1 200 ")
                while not state.released.wait(0.05):
                    self.wfile.write(b"O")

        def log_message(self, *_: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that hang up are expected
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    scheme = "https" if certificate else "http"
    state = WebhookServer(f"{scheme}://127.0.0.1:{server.server_address[1]}/{SECRET}", list(answers or (200,)))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
