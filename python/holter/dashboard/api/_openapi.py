"""The HTTP API described as OpenAPI 3.1: what scripts may rely on, served at `/api/v1/openapi.json`.

A test holds it against the routes and against real answers.
"""

from typing import Any, TypeAlias

import holter
from holter.dashboard.api import _requests as limits

__all__ = ["description"]

_Schema: TypeAlias = dict[str, Any]

_TEXT: _Schema = {"type": "string"}
_FLAG: _Schema = {"type": "boolean"}
_WHOLE: _Schema = {"type": "integer"}
_NUMBER: _Schema = {"type": "number"}
_FREE: _Schema = {"type": "object"}
_VALUE: _Schema = {
    "description": "A number; one that is not finite as a word.",
    "anyOf": [_NUMBER, {"enum": ["nan", "inf", "-inf"]}],
}
_STEP: _Schema = {"type": ["integer", "null"], "description": "A step; null is open."}


def description() -> _Schema:
    """Return the description, a JSON object."""
    api = "/api/v1"
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Holter dashboard",
            "version": holter.__version__,
            "description": "Reads the runs below one folder. POST is a query with a body: nothing is changed.",
        },
        "paths": {
            "/": {"get": _get("The page", _TEXT, "text/html")},
            "/static/{name}": {"get": _get("A file of the page", _TEXT, "text/javascript", [_in_path("name")])},
            "/healthz": {"get": _get("Whether the server lives", _object(status=_TEXT, version=_TEXT))},
            f"{api}/openapi.json": {"get": _get("This description", _FREE)},
            f"{api}/runs": {"get": _get("The runs, the oldest first, and what cannot be read", _ref("Runs"))},
            f"{api}/series": {
                "get": _get(
                    "The series of a run, with an ETag",
                    _ref("Series"),
                    parameters=[_query("run", many=False), _query("pattern", many=False, required=False)],
                )
            },
            f"{api}/overview": {
                "get": _get(
                    "The charts that the page shows first",
                    _object(charts=_list(_ref("Chart"))),
                    parameters=[_query("run", required=False)],
                )
            },
            f"{api}/live": {
                "get": _get(
                    "Server-sent events: `run`, `gone`, `runs`",
                    _TEXT,
                    "text/event-stream",
                    [_query("run", required=False)],
                )
            },
            f"{api}/export.csv": {"get": _get("Points as CSV", _TEXT, "text/csv", [_query("run"), _query("name")])},
            f"{api}/report.html": {"get": _get("A report that needs no network", _TEXT, "text/html", [_query("run")])},
            f"{api}/figures": {
                "post": _post("Figures for plotly.js", "FiguresRequest", _object(figures=_list(_ref("Figure"))))
            },
            f"{api}/table": {"post": _post("Points as rows, a page at a time", "TableRequest", _ref("Table"))},
            f"{api}/compare": {"post": _post("Runs or groups side by side", "CompareRequest", _ref("Comparison"))},
        },
        "components": {"schemas": _schemas(), "securitySchemes": _SECURITY},
        "security": [{}, {"cookie": []}, {"bearer": []}],
    }


_SECURITY: _Schema = {
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": "holter_…",
        "description": "Set by opening /?token=TOKEN once.",
    },
    "bearer": {"type": "http", "scheme": "bearer"},
}


def _schemas() -> _Schema:
    names = _list(_TEXT, limits.MAX_NAMES)
    runs = _list(_TEXT, limits.MAX_RUNS)
    group = _object(("label", "runs"), label=_TEXT, color=_optional(_WHOLE), runs=runs)
    return {
        "Error": _object(error=_object(message=_TEXT)),
        "Runs": _object(root=_TEXT, runs=_list(_ref("Run")), problems=_list(_object(path=_TEXT, reason=_TEXT))),
        "Run": _run(),
        "Series": _object(
            revision=_TEXT,
            series=_list(
                {
                    "type": "array",
                    "description": "name, points, points that are NaN or infinite, first step, last step, last value",
                    "prefixItems": [_TEXT, _WHOLE, _WHOLE, _WHOLE, _WHOLE, _VALUE],
                    "items": False,
                }
            ),
        ),
        "Group": group,
        "Chart": _object(
            ("key", "kind", "names", "groups"),
            key=_TEXT,
            title=_optional(_TEXT),
            kind={"enum": list(limits.KINDS)},
            band={"enum": [*limits.BANDS, None]},
            names=names,
            groups=_list(_ref("Group"), limits.MAX_RUNS),
            thresholds=_optional(_list(_object(("y",), y=_NUMBER, label=_TEXT))),
            change_points=_FLAG,
        ),
        "View": _object(
            (),
            px={**_WHOLE, "minimum": limits.MIN_PX, "maximum": limits.MAX_PX},
            start=_STEP,
            stop=_STEP,
            x={**_TEXT, "description": "step, relative, wall, or metric:NAME"},
            half_life={**_NUMBER, "minimum": 0, "description": "Of the smoothing, in steps."},
            log_y=_FLAG,
            trim=_FLAG,
            marks=_FLAG,
        ),
        "FiguresRequest": _object(
            ("charts",),
            charts=_list(_ref("Chart"), limits.MAX_CHARTS),
            view=_ref("View"),
            theme={"enum": list(limits.THEMES)},
        ),
        "Figure": _object(
            ("key", "figure", "note", "width", "revision"),
            key=_TEXT,
            figure=_object(data=_list(_FREE), layout=_FREE),
            note=_TEXT,
            width={**_WHOLE, "description": "How many steps a point stands for."},
            revision={**_FREE, "additionalProperties": _TEXT},
            error={**_TEXT, "description": "Why there is no figure; absent if there is."},
        ),
        "TableRequest": _object(
            ("runs", "names"),
            runs=runs,
            names=names,
            start=_STEP,
            stop=_STEP,
            limit={**_WHOLE, "minimum": 1, "maximum": limits.MAX_ROWS},
            offset={**_WHOLE, "minimum": 0},
        ),
        "Table": _object(columns=_list(_TEXT), rows=_list({"type": "array"}), total=_WHOLE),
        "CompareRequest": _object(
            ("groups",),
            groups=_list(_ref("Group"), limits.MAX_RUNS),
            at=_list(_WHOLE),
            metrics=_list(_TEXT),
            targets={**_FREE, "additionalProperties": _NUMBER},
        ),
        "Comparison": _object(
            runs=_list(_TEXT),
            rows=_list(_ref("Row")),
            notes=_list(_TEXT),
            markdown=_TEXT,
            latex=_TEXT,
            csv=_TEXT,
        ),
        "Row": _object(
            label=_TEXT,
            cells=_list(_object(text=_TEXT, value=_optional(_VALUE), note=_TEXT)),
            better={"enum": ["lower", "higher", None]},
            best={**_list(_WHOLE), "description": "The indices of the best cells."},
            help=_TEXT,
        ),
    }


def _run() -> _Schema:
    return _object(
        id={**_TEXT, "description": "The path relative to the folder; what requests call the run by."},
        name=_TEXT,
        color={**_WHOLE, "description": "The number in the palette, modulo its length."},
        rank=_WHOLE,
        status={"enum": ["running", "finished", "failed", "crashed"]},
        is_live=_FLAG,
        revision={**_TEXT, "description": "Another one whenever the run has changed."},
        created=_optional(_TEXT),
        finished=_optional(_TEXT),
        last_step=_optional(_WHOLE),
        series=_WHOLE,
        nonfinite_series=_WHOLE,
        points=_WHOLE,
        tags=_list(_TEXT),
        config={**_FREE, "description": 'Flattened: {"optimizer.lr": 0.1}.'},
        dropped=_WHOLE,
        attempts=_list(_FREE),
        steps_per_second=_optional(_NUMBER),
        total_steps=_optional(_WHOLE),
        eta_seconds=_optional(_NUMBER),
        last_point_age_seconds=_optional(_NUMBER),
        command_line=_list(_TEXT),
        git={"description": "What is known of the commit; null if nothing."},
        host=_optional(_TEXT),
        versions={"description": "Versions of Python and of packages."},
    )


def _get(
    summary: str, schema: _Schema, media_type: str = "application/json", parameters: list[_Schema] | None = None
) -> _Schema:
    return {"summary": summary, "parameters": parameters or [], "responses": _responses(schema, media_type)}


def _post(summary: str, request: str, schema: _Schema) -> _Schema:
    content = {"application/json": {"schema": _ref(request)}}
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": content},
        "responses": _responses(schema, "application/json"),
    }


def _responses(schema: _Schema, media_type: str) -> _Schema:
    error = {
        "description": "Refused or failed, with words.",
        "content": {"application/json": {"schema": _ref("Error")}},
    }
    return {"200": {"description": "Done.", "content": {media_type: {"schema": schema}}}, "default": error}


def _query(name: str, *, many: bool = True, required: bool = True) -> _Schema:
    schema = _list(_TEXT) if many else _TEXT
    return {"name": name, "in": "query", "required": required, "schema": schema, **({"explode": True} if many else {})}


def _in_path(name: str) -> _Schema:
    return {"name": name, "in": "path", "required": True, "schema": _TEXT}


def _object(required: tuple[str, ...] | None = None, /, **properties: _Schema) -> _Schema:
    """An object with these properties, all of them required unless said otherwise."""
    return {"type": "object", "properties": properties, "required": list(properties if required is None else required)}


def _list(items: _Schema, max_items: int | None = None) -> _Schema:
    return {"type": "array", "items": items, **({} if max_items is None else {"maxItems": max_items})}


def _optional(schema: _Schema) -> _Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _ref(name: str) -> _Schema:
    return {"$ref": f"#/components/schemas/{name}"}
