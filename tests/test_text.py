"""Shared text helpers: what they escape, cut, and convert."""

import datetime as dt
import math

import pytest

from holter._text import (
    counted,
    duration_text,
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


@pytest.mark.parametrize(
    ("count", "expected"), [(0, "0 points"), (1, "1 point"), (2, "2 points"), (1_234_567, "1,234,567 points")]
)
def test_counts_agree_with_their_nouns(count, expected):
    assert counted(count, "point") == expected


def test_nouns_may_have_an_irregular_plural():
    assert [counted(count, "series", "series") for count in (1, 2)] == ["1 series", "2 series"]


@pytest.mark.parametrize(
    ("secs", "expected"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (0.04, "0 s"),
        (0.46, "0.4 s"),
        (9.99, "9.9 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (100_000, "1 d 3 h"),
        (86400 * 15, "2 w 1 d"),
        (86400 * 100, "14 w"),
        (math.inf, "?"),
        (math.nan, "?"),
    ],
)
def test_durations_name_their_two_largest_units(secs, expected):
    assert duration_text(secs) == expected


def test_iso_times_round_trip_through_micros():
    time = dt.datetime(2026, 1, 21, 9, 30, tzinfo=dt.timezone.utc)
    assert iso_time(time) == "2026-01-21T09:30:00Z"
    assert iso_time(time, "microseconds") == "2026-01-21T09:30:00.000000Z"
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
