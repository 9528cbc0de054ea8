"""A real HTTP server on loopback that answers as a test wants, and keeps what it was sent."""

import contextlib
import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "hooks/T0/s3cr3t-of-the-hook"
"""The part of the URL that must turn up nowhere."""


@dataclass(frozen=True)
class Request:
    """What was sent."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def message(self) -> dict[str, Any]:
        """The body, which must be strict JSON."""

        def refuse(word: str) -> None:
            raise AssertionError(f"{word} is no JSON")

        return json.loads(self.body, parse_constant=refuse)


@dataclass
class WebhookServer:
    """The requests so far, and how the next ones are answered.

    Attributes:
        answers: For each request in its turn a status, `"hold"` (no answer until `released`) or `"drip"` (a byte now
            and then). The last one stays.
        headers: What each answer has beside.
    """

    url: str
    answers: list[int | str]
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What the requests said."""
        return [request.message for request in self.requests]


@contextlib.contextmanager
def webhook_server(*answers: int | str, certificate: tuple[str, str] | None = None) -> Iterator[WebhookServer]:
    """Serve on a free port, until the block ends. With a certificate and its key by TLS."""
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
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # who hangs up is tested too
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
