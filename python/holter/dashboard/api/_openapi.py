"""The OpenAPI 3.1 description of the HTTP API, served at `/api/v1/openapi.json`.

The schemas come from the request and response types. Tests compare the description with the routes and with real
responses.
"""

from typing import Any, Final, NamedTuple, TypeAlias

from msgspec import Struct
from msgspec.json import schema_components

import holter
from holter.dashboard.api import _requests as requests
from holter.dashboard.api import _responses as responses
from holter.dashboard.http._errors import ErrorResponse

__all__ = ["openapi"]

_Schema: TypeAlias = dict[str, Any]

_API: Final = "/api/v1"
_REF: Final = "#/components/schemas/{name}"


class _Operation(NamedTuple):
    """An address. `response` is the type of the JSON that it returns, or another media type."""

    path: str
    summary: str
    response: type[Struct] | str
    query: type[Struct] | None = None
    body: type[Struct] | None = None


_OPERATIONS: Final = (
    _Operation("/", "The page", "text/html"),
    _Operation("/static/{name}", "A file of the page", "text/javascript"),
    _Operation("/healthz", "Liveness check", responses.HealthResponse),
    _Operation(f"{_API}/openapi.json", "This description", "application/json"),
    _Operation(f"{_API}/runs", "List runs and problems", responses.RunsResponse),
    _Operation(f"{_API}/series", "List the series of a run", responses.SeriesResponse, requests.SeriesQuery),
    _Operation(f"{_API}/overview", "Charts to show first", responses.OverviewResponse, requests.RunsQuery),
    _Operation(f"{_API}/live", "Server-sent events: `run`, `gone`, `runs`", "text/event-stream", requests.RunsQuery),
    _Operation(f"{_API}/export.csv", "Points as CSV", "text/csv", requests.SelectedSeriesQuery),
    _Operation(f"{_API}/report.html", "A report that works offline", "text/html", requests.SelectedRunsQuery),
    _Operation(f"{_API}/figures", "Figures for plotly.js", responses.FiguresResponse, body=requests.FiguresRequest),
    _Operation(f"{_API}/table", "Points as rows, in pages", responses.TableResponse, body=requests.TableRequest),
    _Operation(f"{_API}/compare", "Compare runs or groups", responses.ComparisonResponse, body=requests.CompareRequest),
)

_SECURITY: Final[_Schema] = {
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": "holter_…",
        "description": "Set by opening /?token=TOKEN once.",
    },
    "bearer": {"type": "http", "scheme": "bearer"},
}


def openapi() -> _Schema:
    """Return the description, a JSON object."""
    bodies = {kind for item in _OPERATIONS for kind in (item.response, item.body) if isinstance(kind, type)}
    _, schemas = schema_components(sorted({*bodies, ErrorResponse}, key=lambda kind: kind.__name__), ref_template=_REF)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Holter dashboard",
            "version": holter.__version__,
            "description": "Reads the runs below one folder. POST is a query with a body; no request changes anything.",
        },
        "paths": {item.path: {"post" if item.body else "get": _describe(item)} for item in _OPERATIONS},
        "components": {"schemas": schemas, "securitySchemes": _SECURITY},
        "security": [{}, {"cookie": []}, {"bearer": []}],
    }


def _describe(operation: _Operation) -> _Schema:
    described: _Schema = {"summary": operation.summary, "parameters": _parameters(operation)}
    if operation.body is not None:
        described["requestBody"] = {"required": True, "content": _json_content(operation.body)}
    if isinstance(operation.response, str):
        content = {operation.response: {"schema": {"type": "object" if "json" in operation.response else "string"}}}
    else:
        content = _json_content(operation.response)
    described["responses"] = {
        "200": {"description": "Success.", "content": content},
        "default": {"description": "An error.", "content": _json_content(ErrorResponse)},
    }
    return described


def _json_content(kind: type[Struct]) -> _Schema:
    return {"application/json": {"schema": {"$ref": _REF.format(name=kind.__name__)}}}


def _parameters(operation: _Operation) -> list[_Schema]:
    if operation.query is None:
        is_file = operation.path.endswith("{name}")
        return [{"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}] if is_file else []
    _, schemas = schema_components([operation.query], ref_template=_REF)
    schema = schemas[operation.query.__name__]
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": inner, "explode": True}
        for name, inner in schema["properties"].items()
    ]
