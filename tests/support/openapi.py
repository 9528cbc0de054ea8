"""JSON schemas of the dashboard's OpenAPI description: checks values, and generates them with Hypothesis."""

from hypothesis import strategies as st

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_JUNK_ODDS = 60
"""One in this many parts of a value is junk."""
_KINDS = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "object": dict,
    "array": list,
    "null": type(None),
}


def check(value, schema, document, where) -> None:
    """Assert that a value matches a schema; supports the keywords that the description uses."""
    schema = _resolve(schema, document)
    if "anyOf" in schema:
        assert any(_fits(value, option, document, where) for option in schema["anyOf"]), (where, value)
        return
    if "enum" in schema:
        assert value in schema["enum"], (where, value)
    if "type" in schema:
        assert isinstance(value, _KINDS[schema["type"]]), (where, value)
    if isinstance(value, dict) and "properties" in schema:
        assert set(schema.get("required", [])) <= set(value), where
        assert set(value) <= set(schema["properties"]), (where, set(value) - set(schema["properties"]))
        for key, inner in value.items():
            check(inner, schema["properties"][key], document, f"{where}.{key}")
    if isinstance(value, list):
        assert schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)), where
        prefix = schema.get("prefixItems", [])
        for index, inner in enumerate(value):
            items = prefix[index] if index < len(prefix) else schema.get("items", {})
            check(inner, items, document, f"{where}[{index}]")


def values(schema, document, texts, key="") -> st.SearchStrategy:
    """Return a strategy of values that match a schema, with rare junk; `texts(key)` generates a property's texts."""
    good = _matching(_resolve(schema, document), document, texts, key)
    return st.integers(0, _JUNK_ODDS).flatmap(lambda chance: good if chance else JUNK)


def _resolve(schema, document):
    if "$ref" in schema:
        return document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _fits(value, schema, document, where) -> bool:
    try:
        check(value, schema, document, where)
    except AssertionError:
        return False
    return True


def _matching(schema, document, texts, key) -> st.SearchStrategy:
    if "anyOf" in schema:
        return st.one_of([values(option, document, texts, key) for option in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    low, high = schema.get("minimum"), schema.get("maximum")
    make = {
        "null": st.none,
        "boolean": st.booleans,
        "string": lambda: texts(key),
        "integer": lambda: st.integers(low, high) | st.sampled_from([0, -1, 1 << 31, (1 << 63) - 1, -(1 << 63)]),
        "number": lambda: st.floats(low, high, allow_nan=False, allow_infinity=False),
        "array": lambda: st.lists(values(schema.get("items", {}), document, texts, key), max_size=3),
        "object": lambda: _object(schema, document, texts, key),
    }
    return make[schema.get("type", "null")]()


def _object(schema, document, texts, key) -> st.SearchStrategy:
    if "properties" not in schema:
        items = values(schema.get("additionalProperties", {}), document, texts, key)
        return st.dictionaries(texts(key), items, max_size=3)
    properties = {name: values(part, document, texts, name) for name, part in schema["properties"].items()}
    required = {name: properties.pop(name) for name in schema.get("required", [])}
    return st.fixed_dictionaries(required, optional=properties)
