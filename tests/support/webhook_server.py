"""A real HTTP server on loopback with scripted answers, and helpers to record runs that use it."""

import contextlib
import json
import math
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import holter
from holter import alerts

SECRET = "hooks/T0/s3cr3t-of-the-hook"
"""The part of the URL that must not appear anywhere."""

RULES = [alerts.NonFinite(level="error")]


@dataclass(frozen=True)
class Request:
    """A received request."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def message(self) -> dict[str, Any]:
        """The body, parsed as strict JSON."""

        def reject(word: str) -> None:
            raise AssertionError(f"{word} is not JSON")

        return json.loads(self.body, parse_constant=reject)


@dataclass
class WebhookServer:
    """The requests received so far, and the answers to the next ones.

    Attributes:
        answers: One for each request: a status; `"late"` (200 after `released`), `"hold"` (closes the connection after
            `released`) or `"drip"` (a byte now and then). The last one repeats.
        headers: Sent with each answer.
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
    """Serve on a free port until the block ends; over TLS if given a certificate and its key."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            request = Request(self.command, self.path, dict(self.headers), self.rfile.read(length))
            with lock:
                answer = state.answers.pop(0) if len(state.answers) > 1 else state.answers[0]
                state.requests.append(request)
            if answer in ("hold", "late"):
                state.released.wait(120)
            if answer == "drip":
                self.drip()
            elif answer != "hold":
                self.send_response(200 if answer == "late" else int(answer))
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
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that disconnect are expected
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


def hook(url: str, **settings: Any) -> alerts.Webhook:
    """A webhook without a minimum interval, and with a timeout that no answer exceeds by chance."""
    return alerts.Webhook(url, **{"interval_secs": 0, "timeout_secs": 30, **settings})


def record(run_dir: Path, webhook: alerts.Webhook | str) -> alerts.Delivery:
    """Record a run with one alert, and return the delivery statistics."""
    with holter.Logger(run_dir, alerts=RULES, webhook=webhook) as logger:
        logger.log(7, "loss", math.nan)
    return logger.webhook


def sender_threads() -> list[threading.Thread]:
    """The running sender threads of this process."""
    return [thread for thread in threading.enumerate() if thread.name == "holter-webhook"]
