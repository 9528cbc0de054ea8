"""JSON as every browser reads it: strict, with numbers that are not finite as the words "nan", "inf" and "-inf"."""

import json
import math
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

__all__ = ["dumps", "error_response", "json_response"]


def dumps(value: Any) -> bytes:
    """Return `value` as strict JSON, in ASCII.

    Raises:
        TypeError: If it holds anything but dicts with text as keys, lists, tuples, text, numbers, booleans and None.
    """
    try:
        text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    except ValueError:  # something is not finite: rare, so that looking for it first would cost more
        text = json.dumps(_finite(value), allow_nan=False, separators=(",", ":"))
    return text.encode("ascii")


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response with `value` as its body."""
    return Response(dumps(value), status, headers, "application/json")


def error_response(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return the response to a request that is refused or has failed."""
    return json_response({"error": {"message": message}}, status, headers)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return value
