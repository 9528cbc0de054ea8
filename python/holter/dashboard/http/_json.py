"""Strict JSON that every browser can parse: non-finite numbers become the strings "nan", "inf" and "-inf"."""

import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from starlette.responses import Response

from holter._text import plain_json
from holter.dashboard.http._errors import ErrorDetail, ErrorResponse, RequestError

__all__ = ["error_response", "json_bytes", "json_response"]

# Not msgspec.json, which encodes NaN as null.
_ENCODER: Final = json.JSONEncoder(allow_nan=False, separators=(",", ":"), default=msgspec.to_builtins)


def json_bytes(value: Any) -> bytes:
    """Return `value` as strict JSON in ASCII; a Struct becomes an object.

    Raises:
        TypeError: If it holds a value that JSON has no type for.
    """
    try:
        text = _ENCODER.encode(value)
    except ValueError:  # a non-finite number; rare, so searching for it first would cost more
        text = _ENCODER.encode(plain_json(msgspec.to_builtins(value)))
    return text.encode("ascii")


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response with `value` as its JSON body."""
    return Response(json_bytes(value), status, headers, "application/json")


def error_response(error: RequestError) -> Response:
    """Return the response for an error."""
    return json_response(ErrorResponse(ErrorDetail(error.message)), error.status, error.headers)
