"""Shared text helpers: what they escape, cut, and convert."""

import datetime as dt
import math

import pytest

from holter._text import (
    epoch_micros,
    flatten_config,
    iso_time,
    numbered,
    parse_iso_time,
    plain_json,
    shortened,
    spreadsheet_safe,
    time_of_micros,
    utf8_safe,
    visible,
)


def test_unprintable_characters_become_escapes():
    assert visible("loss\x1b[31m\n\u202e") == "loss\\x1b[31m\\n\\u202e"
    assert visible("größe") == "größe"


def test_long_text_keeps_both_ends():
    assert shortened("abcdefghij", 5) == "ab…ij"
    assert shortened("abc", 3) == "abc"
    assert all(len(shortened("x" * 50, limit)) == limit for limit in range(1, 50))


def test_undecodable_file_names_are_escaped():
    assert utf8_safe("a\udcff") == "a\\xff"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_formulas_are_quoted(text):
    assert spreadsheet_safe(text) == f"'{text}"
    assert spreadsheet_safe(f"x{text}") == f"x{text}"


def test_repeated_labels_are_numbered():
    assert numbered(["a", "a", "b", "a"]) == ["a", "a (2)", "b", "a (3)"]


def test_iso_times_round_trip_through_micros():
    time = dt.datetime(2026, 1, 21, 9, 30, tzinfo=dt.timezone.utc)
    assert iso_time(time) == "2026-01-21T09:30:00Z"
    assert parse_iso_time("2026-01-21T09:30:00.000000Z") == time
    assert parse_iso_time("2026-01-21T10:30:00+01:00") == time
    assert parse_iso_time("2026-01-21T09:30:00") == time
    assert time_of_micros(epoch_micros(time)) == time


@pytest.mark.parametrize("value", [None, 3, "yesterday", ""])
def test_a_value_without_a_time_parses_to_none(value):
    assert parse_iso_time(value) is None


def test_plain_json_spells_out_non_finite_numbers():
    assert plain_json({1: (math.inf, -math.inf, math.nan, 0.5, None)}) == {"1": ["inf", "-inf", "nan", 0.5, None]}


def test_configs_flatten_at_any_depth():
    assert flatten_config({"a": {"b": 1, "c": {}}, "d": [1]}) == {"a.b": 1, "a.c": {}, "d": [1]}
    assert flatten_config({"a": {"b": 1}}, "/") == {"a/b": 1}
    deep: dict = {}
    for _ in range(5000):
        deep = {"k": deep}
    assert len(flatten_config(deep)) == 1
