"""The ASGI application and its routes. A handler decodes its request, runs the work on a thread, and responds.

Expensive work shares a few threads, so that a page with a hundred charts neither blocks the event loop nor needs the
memory of more than a few charts.
"""

import hashlib
import importlib
import os
import time
from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar

import anyio
from anyio import to_thread
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

import holter
from holter.dashboard.api import _export, _requests, _responses
from holter.dashboard.api._figures import Figures
from holter.dashboard.api._live import Live
from holter.dashboard.api._openapi import openapi
from holter.dashboard.api._requests import decode_body, decode_query
from holter.dashboard.api._runs import RunFolder, reading
from holter.dashboard.api._table import table
from holter.dashboard.http._cache import ByteCache
from holter.dashboard.http._errors import RequestError
from holter.dashboard.http._headers import SecurityHeaders
from holter.dashboard.http._json import error_response, json_bytes, json_response
from holter.dashboard.http._limits import RequestLimits
from holter.dashboard.http._origin import OriginCheck
from holter.dashboard.http._static import PLOTLY, StaticFiles
from holter.dashboard.http._token import TokenAuth

__all__ = ["App", "make_app"]

_T = TypeVar("_T")
_Handler = Callable[[Request], Awaitable[Response]]

_MAX_WORKERS = 4
_BODY_TIMEOUT_SECS = 20.0
_SERIES_CACHE_BYTES = 16 << 20


class App:
    """The dashboard of one folder as an ASGI application; see `make_app`."""

    def __init__(self, folder: RunFolder, live: Live, static: StaticFiles, inner: Starlette, guarded: ASGIApp) -> None:
        self.folder = folder
        self.live = live
        self._static = static
        self._inner = inner
        self._guarded = guarded

    def warm_up(self) -> None:
        """Prepare what the first page needs: scan the folder, compress plotly.js, import the plots."""
        self.folder.listing()
        self._static.respond(PLOTLY, Headers({"accept-encoding": "gzip"}))
        importlib.import_module("holter.plots")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] == "http":
            await self._guarded(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._inner(scope, receive, send)
        else:
            raise ValueError(f"expected a connection of type 'http', got {scope['type']!r}")


def make_app(
    root: str | os.PathLike[str],
    *,
    host: str = "127.0.0.1",
    token: str | None = None,
    notebook: bool = False,
    allowed_hosts: Collection[str] = (),
) -> App:
    """Return the dashboard as an ASGI application, for use with any ASGI server.

    Args:
        root: A folder of runs, or one run. It may be missing and appear later.
        host: The address that the server listens on; determines which Host headers are accepted.
        token: The token that clients must send; optional only if `host` is a loopback address.
        notebook: Whether a page on the same machine may show the dashboard in a frame.
        allowed_hosts: Additional host names of the server.

    Raises:
        ValueError: If the token is required and missing, or is invalid.
        ImportError: If plotly is not installed.
    """
    folder = RunFolder(root)
    live = Live(folder)
    static = StaticFiles()
    inner = Starlette(
        routes=_Handlers(folder, live, static).routes(),
        exception_handlers={
            RequestError: _request_error,
            HTTPException: _http_error,
            ClientDisconnect: _client_disconnected,
            Exception: _internal_error,
        },
    )
    # Wrapped by hand because Starlette's response to an internal error bypasses its own middleware.
    guarded: ASGIApp = TokenAuth(inner, host=host, token=token)
    guarded = RequestLimits(guarded)
    guarded = OriginCheck(guarded, host=host, notebook=notebook, allowed_hosts=allowed_hosts)
    guarded = SecurityHeaders(guarded, notebook=notebook)
    return App(folder, live, static, inner, guarded)


class _Handlers:
    """The request handlers."""

    def __init__(self, folder: RunFolder, live: Live, static: StaticFiles) -> None:
        self._folder = folder
        self._live = live
        self._static = static
        self._figures = Figures(folder)
        self._series_cache = ByteCache(_SERIES_CACHE_BYTES)
        self._worker_slots: anyio.Semaphore | None = None

    def routes(self) -> list[Route]:
        api = "/api/v1"
        get: dict[str, _Handler] = {
            "/": self.page,
            "/static/{name}": self.static,
            "/healthz": self.health,
            f"{api}/openapi.json": self.openapi,
            f"{api}/runs": self.runs,
            f"{api}/series": self.series,
            f"{api}/overview": self.overview,
            f"{api}/live": self.live,
            f"{api}/export.csv": self.export_csv,
            f"{api}/report.html": self.report,
        }
        post: dict[str, _Handler] = {
            f"{api}/figures": self.figures,
            f"{api}/table": self.table,
            f"{api}/compare": self.compare,
        }
        return [Route(path, handler, methods=["GET"]) for path, handler in get.items()] + [
            Route(path, handler, methods=["POST"]) for path, handler in post.items()
        ]

    async def page(self, request: Request) -> Response:
        return await to_thread.run_sync(lambda: self._static.respond("index.html", request.headers))

    async def static(self, request: Request) -> Response:
        name = request.path_params["name"]
        return await to_thread.run_sync(lambda: self._static.respond(name, request.headers))

    async def health(self, request: Request) -> Response:
        del request
        return json_response(_responses.HealthResponse("ok", holter.__version__))

    async def openapi(self, request: Request) -> Response:
        del request
        return json_response(openapi())

    async def runs(self, request: Request) -> Response:
        del request
        return await to_thread.run_sync(self._list_runs)

    def _list_runs(self) -> Response:
        listing = self._folder.listing()
        now = time.time()
        runs = [entry.info(now) for entry in listing.entries.values()]
        problems = [_responses.Problem(path, reason) for path, reason in listing.problems]
        return json_response(_responses.RunsResponse(self._folder.name, runs, problems))

    async def series(self, request: Request) -> Response:
        query = decode_query(request.query_params, _requests.SeriesQuery)
        return await to_thread.run_sync(lambda: self._list_series(query, request.headers.get("if-none-match", "")))

    def _list_series(self, query: _requests.SeriesQuery, if_none_match: str) -> Response:
        entry = self._folder.get(query.run[0])
        (pattern,) = query.pattern
        key = (entry.id, entry.run.created, entry.revision, pattern)
        etag = f'"{hashlib.sha256(repr(key).encode()).hexdigest()[:32]}"'
        headers = {"etag": etag, "cache-control": "no-cache"}
        if etag in if_none_match:
            return Response(status_code=304, headers=headers)
        content = self._series_cache.get(key)
        if content is None:
            with reading(entry):
                facts = entry.run.facts(pattern)
            rows: list[_responses.SeriesRow] = [
                (f.name, f.count, f.nonfinite_count, f.first_step, f.last_step, f.last_value) for f in facts
            ]
            content = json_bytes(_responses.SeriesResponse(entry.revision, rows))
            self._series_cache.put(key, content)
        return Response(content, headers=headers, media_type="application/json")

    async def overview(self, request: Request) -> Response:
        runs = decode_query(request.query_params, _requests.RunsQuery).run
        return await self._work(request, lambda: json_response(self._figures.overview(runs)))

    async def figures(self, request: Request) -> Response:
        wanted = decode_body(await _body(request), _requests.FiguresRequest)
        content = await self._work(request, lambda: self._figures.render(wanted))
        return Response(content, media_type="application/json")

    async def table(self, request: Request) -> Response:
        wanted = decode_body(await _body(request), _requests.TableRequest)
        return await self._work(request, lambda: json_response(table(self._folder.get_all(wanted.runs), wanted)))

    async def compare(self, request: Request) -> Response:
        from holter.dashboard.api._compare import compare

        wanted = decode_body(await _body(request), _requests.CompareRequest)
        return await self._work(request, lambda: json_response(compare(self._folder, wanted)))

    async def live(self, request: Request) -> Response:
        runs = decode_query(request.query_params, _requests.RunsQuery).run
        self._live.check()
        if request.method == "HEAD":  # the server would drop the body and never close the stream
            return Response(media_type="text/event-stream")
        return StreamingResponse(self._live.events(runs), media_type="text/event-stream")

    async def export_csv(self, request: Request) -> Response:
        query = decode_query(request.query_params, _requests.SelectedSeriesQuery)
        entries = await to_thread.run_sync(lambda: self._folder.get_all(query.run))
        headers = _download(_export.file_name(entries[0].name, ".csv"))
        pieces = _export.csv_pieces(entries, query.name) if request.method == "GET" else iter(())
        return StreamingResponse(pieces, headers=headers, media_type="text/csv; charset=utf-8")

    async def report(self, request: Request) -> Response:
        query = decode_query(request.query_params, _requests.SelectedRunsQuery)
        entries = await to_thread.run_sync(lambda: self._folder.get_all(query.run))
        headers = _download(_export.file_name(entries[0].name, "-report.html"))
        if request.method == "HEAD":
            return Response(headers=headers, media_type="text/html; charset=utf-8")
        content = await self._work(request, lambda: _export.report(entries))
        return Response(content, headers=headers, media_type="text/html; charset=utf-8")

    async def _work(self, request: Request, work: Callable[[], _T]) -> _T:
        """Run expensive work on one of a few threads, unless the client disconnects before its turn."""
        if self._worker_slots is None:
            self._worker_slots = anyio.Semaphore(_MAX_WORKERS)
        async with self._worker_slots:
            if await request.is_disconnected():
                raise ClientDisconnect
            return await to_thread.run_sync(work)


def _download(name: str) -> dict[str, str]:
    return {"content-disposition": f'attachment; filename="{name}"'}


async def _body(request: Request) -> bytes:
    try:
        with anyio.fail_after(_BODY_TIMEOUT_SECS):
            return await request.body()
    except TimeoutError:
        raise RequestError(408, f"the body did not arrive within {_BODY_TIMEOUT_SECS:g} s") from None


async def _request_error(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, RequestError)  # noqa: S101  for the type checker
    return error_response(error)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  for the type checker
    messages = {404: "there is nothing at this address; /api/v1/openapi.json lists the addresses"}
    if error.status_code == 405:
        expected = "POST" if request.method == "GET" else "GET"
        messages[405] = f"this address accepts {expected}, got {request.method}"
    message = messages.get(error.status_code, error.detail)
    return error_response(RequestError(error.status_code, message, error.headers))


async def _client_disconnected(request: Request, error: Exception) -> Response:
    del request, error
    return Response(status_code=503)  # the client does not receive it


async def _internal_error(request: Request, error: Exception) -> Response:
    """Respond to an unexpected error. Starlette re-raises it, so the server logs the traceback."""
    del request, error
    return error_response(RequestError(500, "internal error; see the server's terminal"))
