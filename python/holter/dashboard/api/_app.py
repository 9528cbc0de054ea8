"""The routes: each reads its request, has the work done on a thread, and answers. Nothing here reads a run itself.

What may take long runs on a few threads, so that a page with a hundred charts neither keeps the event loop from
answering others nor asks for more memory than a few charts need.
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
from holter.dashboard.api import _export, _requests
from holter.dashboard.api._figures import Figures
from holter.dashboard.api._live import Live
from holter.dashboard.api._openapi import description
from holter.dashboard.api._runs import RunFolder, reading
from holter.dashboard.api._table import table
from holter.dashboard.http._cache import ByteCache
from holter.dashboard.http._errors import Refused
from holter.dashboard.http._guard import Guard
from holter.dashboard.http._json import dumps, error_response, json_response
from holter.dashboard.http._static import PLOTLY, StaticFiles

__all__ = ["App", "make_app"]

_T = TypeVar("_T")
_Handler = Callable[[Request], Awaitable[Response]]

_WORKERS = 4
_BODY_SECS = 20.0
_SERIES_CACHE_BYTES = 16 << 20


class App:
    """The dashboard of one folder as an ASGI application; see `make_app`."""

    def __init__(self, folder: RunFolder, guarded: ASGIApp, live: Live, static: StaticFiles) -> None:
        self.folder = folder
        self.live = live
        self._guarded = guarded
        self._static = static

    def warm_up(self) -> None:
        """Do what the first page would wait for: find the runs, compress plotly.js, load what draws charts."""
        self.folder.listing()
        self._static.respond(PLOTLY, Headers({"accept-encoding": "gzip"}))
        importlib.import_module("holter.plots")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        await self._guarded(scope, receive, send)


def make_app(
    root: str | os.PathLike[str],
    *,
    host: str = "127.0.0.1",
    token: str | None = None,
    notebook: bool = False,
    allowed_hosts: Collection[str] = (),
) -> App:
    """Return the dashboard as an ASGI application, to be run by a server of one's own.

    Args:
        root: A folder that holds runs, or one run. It need not be there yet.
        host: What the server will listen on: decides which Host headers are accepted.
        token: What clients must know; needed unless `host` is of this machine alone.
        notebook: Whether a page of the same machine may show the dashboard in a frame.
        allowed_hosts: Further names that the server is reached by.

    Raises:
        ValueError: If a token is needed and missing, or is no good one.
        ImportError: If plotly is not installed.
    """
    folder = RunFolder(root)
    live = Live(folder)
    static = StaticFiles()
    inner = Starlette(
        routes=_Handlers(folder, live, static).routes(),
        exception_handlers={
            Refused: _refused,
            HTTPException: _http_error,
            ClientDisconnect: _nobody_waits,
            Exception: _failed,
        },
    )
    guarded = Guard(inner, host=host, token=token, notebook=notebook, allowed_hosts=allowed_hosts)
    return App(folder, guarded, live, static)


class _Handlers:
    """What answers, by route."""

    def __init__(self, folder: RunFolder, live: Live, static: StaticFiles) -> None:
        self._folder = folder
        self._live = live
        self._static = static
        self._figures = Figures(folder)
        self._series_cache = ByteCache(_SERIES_CACHE_BYTES)
        self._turns: anyio.Semaphore | None = None

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
        return json_response({"status": "ok", "version": holter.__version__})

    async def openapi(self, request: Request) -> Response:
        del request
        return json_response(description())

    async def runs(self, request: Request) -> Response:
        del request
        return await to_thread.run_sync(self._list_runs)

    def _list_runs(self) -> Response:
        listing = self._folder.listing()
        now = time.time()
        return json_response(
            {
                "root": self._folder.name,
                "runs": [entry.to_dict(now) for entry in listing.entries.values()],
                "problems": [{"path": path, "reason": reason} for path, reason in listing.problems],
            }
        )

    async def series(self, request: Request) -> Response:
        query = _requests.series(request.query_params)
        return await to_thread.run_sync(lambda: self._list_series(query, request.headers.get("if-none-match", "")))

    def _list_series(self, query: _requests.SeriesQuery, known: str) -> Response:
        entry = self._folder.get(query.run)
        key = (entry.id, entry.run.created, entry.revision, query.pattern)
        etag = f'"{hashlib.sha256(repr(key).encode()).hexdigest()[:32]}"'
        headers = {"etag": etag, "cache-control": "no-cache"}
        if etag in known:
            return Response(status_code=304, headers=headers)
        content = self._series_cache.get(key)
        if content is None:
            with reading(entry):
                facts = entry.run.facts(query.pattern)
            rows = [[f.name, f.count, f.nonfinite_count, f.first_step, f.last_step, f.last_value] for f in facts]
            content = dumps({"revision": entry.revision, "series": rows})
            self._series_cache.put(key, content)
        return Response(content, headers=headers, media_type="application/json")

    async def overview(self, request: Request) -> Response:
        runs = _requests.runs_of(request.query_params)
        return await self._in_turn(request, lambda: json_response({"charts": self._figures.overview(runs)}))

    async def figures(self, request: Request) -> Response:
        spec = _requests.body(await _body(request), _requests.figures)
        content = await self._in_turn(request, lambda: self._figures.render(spec))
        return Response(content, media_type="application/json")

    async def table(self, request: Request) -> Response:
        spec = _requests.body(await _body(request), _requests.table)
        return await self._in_turn(request, lambda: json_response(table(self._folder.get_all(spec.runs), spec)))

    async def compare(self, request: Request) -> Response:
        from holter.dashboard.api._compare import compare

        spec = _requests.body(await _body(request), _requests.compare)
        return await self._in_turn(request, lambda: json_response(compare(self._folder, spec)))

    async def live(self, request: Request) -> Response:
        runs = _requests.runs_of(request.query_params)
        self._live.check()
        if request.method == "HEAD":  # its events are never sent, so nobody would ever end them
            return Response(media_type="text/event-stream")
        return StreamingResponse(self._live.events(runs), media_type="text/event-stream")

    async def export_csv(self, request: Request) -> Response:
        runs, names = _requests.runs_of(request.query_params, 1), _requests.names_of(request.query_params)
        entries = await to_thread.run_sync(lambda: self._folder.get_all(runs))
        headers = _download(_export.file_name(entries[0].name, ".csv"))
        pieces = _export.csv_pieces(entries, names) if request.method == "GET" else iter(())
        return StreamingResponse(pieces, headers=headers, media_type="text/csv; charset=utf-8")

    async def report(self, request: Request) -> Response:
        runs = _requests.runs_of(request.query_params, 1)
        entries = await to_thread.run_sync(lambda: self._folder.get_all(runs))
        headers = _download(_export.file_name(entries[0].name, "-report.html"))
        if request.method == "HEAD":
            return Response(headers=headers, media_type="text/html; charset=utf-8")
        content = await self._in_turn(request, lambda: _export.report(entries))
        return Response(content, headers=headers, media_type="text/html; charset=utf-8")

    async def _in_turn(self, request: Request, work: Callable[[], _T]) -> _T:
        """Have long work done on one of a few threads; not at all if the client has gone while it waited."""
        if self._turns is None:
            self._turns = anyio.Semaphore(_WORKERS)
        async with self._turns:
            if await request.is_disconnected():
                raise ClientDisconnect
            return await to_thread.run_sync(work)


def _download(name: str) -> dict[str, str]:
    return {"content-disposition": f'attachment; filename="{name}"'}


async def _body(request: Request) -> bytes:
    """The body; one that does not arrive is not waited for."""
    try:
        with anyio.fail_after(_BODY_SECS):
            return await request.body()
    except TimeoutError:
        raise Refused(408, f"the body did not arrive within {_BODY_SECS:g} s") from None


async def _refused(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, Refused)  # noqa: S101  for the type checker: it is registered for nothing else
    return error_response(error.status, error.message)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  likewise
    words = {404: "there is nothing at this address; /api/v1/openapi.json describes what there is"}
    if error.status_code == 405:
        takes = "POST" if request.method == "GET" else "GET"
        words[405] = f"this address takes {takes}, got {request.method}"
    return error_response(error.status_code, words.get(error.status_code, error.detail), error.headers)


async def _nobody_waits(request: Request, error: Exception) -> Response:
    del request, error
    return Response(status_code=503)  # read by nobody


async def _failed(request: Request, error: Exception) -> Response:
    """What we did not foresee: the client learns that it was not the request; the traceback goes to the log."""
    del request, error
    return error_response(500, "the server failed at this; its terminal says more")
