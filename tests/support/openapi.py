"""Validates values against the schemas of the dashboard's OpenAPI description, and generates values for them."""

from hypothesis import strategies as st

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_GOOD_CHANCES = 60
"""The odds against junk in each part of a value."""


def check(value, schema, document, where) -> None:
    """Validate a value against a schema; supports the keywords that the description uses."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        assert any(fits(value, option, document, where) for option in schema["anyOf"]), (where, value)
        return
    if "enum" in schema:
        assert value in schema["enum"], where
    kinds = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict, "array": list}
    named = schema.get("type", [])
    allowed = [named] if isinstance(named, str) else named
    if allowed:
        assert any(value is None if kind == "null" else isinstance(value, kinds[kind]) for kind in allowed), (
            where,
            value,
        )
    if isinstance(value, dict) and "properties" in schema:
        assert set(schema.get("required", [])) <= set(value), where
        assert set(value) <= set(schema["properties"]), (where, set(value) - set(schema["properties"]))
        for key, inner in value.items():
            check(inner, schema["properties"][key], document, f"{where}.{key}")
    if isinstance(value, list):
        prefix = schema.get("prefixItems", [])
        for index, inner in enumerate(value):
            items = prefix[index] if index < len(prefix) else schema.get("items", {})
            assert items is not False, where
            check(inner, items, document, f"{where}[{index}]")


def fits(value, schema, document, where) -> bool:
    try:
        check(value, schema, document, where)
    except AssertionError:
        return False
    return True


def values(schema, document, texts, key="") -> st.SearchStrategy:
    """Generate values that fit a schema, with occasional junk in any part; `texts(key)` generates texts."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    good = _fitting(schema, document, texts, key)
    return st.integers(0, _GOOD_CHANCES).flatmap(lambda chance: good if chance else JUNK)


def _fitting(schema, document, texts, key) -> st.SearchStrategy:
    if "anyOf" in schema:
        return st.one_of([values(option, document, texts, key) for option in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kinds = schema.get("type", "null")
    if isinstance(kinds, list):
        return st.one_of([_fitting({**schema, "type": kind}, document, texts, key) for kind in kinds])
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
    return make[kinds]()


def _object(schema, document, texts, key) -> st.SearchStrategy:
    if "properties" not in schema:
        more = values(schema.get("additionalProperties", {}), document, texts, key)
        return st.dictionaries(texts(key), more, max_size=3)
    inner = {name: values(part, document, texts, name) for name, part in schema["properties"].items()}
    required = {name: inner.pop(name) for name in schema.get("required", [])}
    return st.fixed_dictionaries(required, optional=inner)
