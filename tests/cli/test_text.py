"""What is shown: nothing that commands a terminal, numbers and times that read well, sparklines that hide no NaN."""

import datetime as dt
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holter.cli import text
from holter.cli.sparklines import sparkline

NOW = dt.datetime(2026, 1, 2, tzinfo=dt.timezone.utc)


@given(st.text())
def test_what_is_visible_commands_nothing(anything):
    shown = text.visible(anything)
    assert shown.isprintable()
    assert text.visible(shown) == shown
    if anything.isprintable():
        assert shown == anything


def test_lone_surrogates_and_directions_are_escaped():
    assert text.visible("a\udcffb\u202ec\u200bd\n") == "a\\udcffb\\u202ec\\u200bd\\n"
    assert text.visible("größe/層 é") == "größe/層 é"


@given(st.text(), st.integers(min_value=1, max_value=40))
def test_shortened_keeps_both_ends(anything, limit):
    shown = text.shortened(anything, limit)
    assert len(shown) <= limit
    if len(anything) > limit:
        assert shown.count("…") >= 1
        assert anything.startswith(shown.split("…")[0][: (limit - 1) // 2])
    else:
        assert shown == anything


@pytest.mark.parametrize(
    ("secs", "expected"),
    [
        (-5, "0 s"),
        (0.4, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (100_000, "1 d 3 h"),
        (86400 * 15, "2 w 1 d"),
        (math.inf, "?"),
    ],
)
def test_durations(secs, expected):
    assert text.duration_text(secs) == expected


@pytest.mark.parametrize(
    ("secs", "expected"),
    [(0, "0 s ago"), (-30, "0 s ago"), (-90, "in the future"), (59, "59 s ago"), (7199, "1 h ago"), (1e6, "1 w ago")],
)
def test_ages(secs, expected):
    assert text.age_text(NOW - dt.timedelta(seconds=secs), NOW) == expected


@pytest.mark.parametrize(
    ("size", "expected"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2e9, "2.0 GB"), (3.25e12, "3.2 TB")]
)
def test_sizes(size, expected):
    assert text.bytes_text(size) == expected


def test_json_is_strict_however_deep():
    value = {"a": [math.nan, {"b": -math.inf}], 1: (math.inf, 0.5, True, None, "x")}
    ready = text.json_ready(value)
    assert json.loads(json.dumps(ready, allow_nan=False)) == {
        "a": ["nan", {"b": "-inf"}],
        "1": ["inf", 0.5, True, None, "x"],
    }


def test_a_sparkline_rises_with_its_values():
    assert sparkline(list(range(8)), [float(step) for step in range(8)], 8) == "▁▂▃▄▅▆▇█"
    assert sparkline([0, 1, 2], [5.0, 5.0, 5.0], 3) == "▅▅▅"
    assert sparkline([], [], 4) == "    "
    assert sparkline([7], [1e308], 4)[0] == "▅"


def test_a_sparkline_hides_no_value_that_is_not_finite():
    line = sparkline(list(range(1000)), [math.nan if step == 613 else 1.0 for step in range(1000)], 10)
    assert line == "▅▅▅▅▅▅×▅▅▅"
    assert sparkline([0, 1], [math.inf, -math.inf], 2) == "××"


def test_a_sparkline_leaves_a_gap_empty_and_a_sparse_series_whole():
    assert sparkline([0, 1, 2, 3, 16, 17, 18, 19], [1.0] * 8, 10) == "▅▅      ▅▅"
    assert sparkline(list(range(0, 100, 25)), [1.0] * 4, 20) == "▅" * 20


def test_a_sparkline_of_extremes():
    assert sparkline([-(1 << 63), (1 << 63) - 1], [-1e308, 1e308], 4)[::3] == "▁█"
    assert sparkline([0, 1], [1.7e308, -1.7e308], 2) == "█▁"
