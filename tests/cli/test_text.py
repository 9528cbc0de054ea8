"""Numbers, sizes and ages, escaped text, and sparklines."""

import datetime as dt
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holter._text import shortened, visible
from holter.cli import text
from holter.cli.sparklines import sparkline

NOW = dt.datetime(2026, 1, 2, tzinfo=dt.timezone.utc)


@given(st.text())
def test_visible_text_is_printable(anything):
    shown = visible(anything)
    assert shown.isprintable()
    assert visible(shown) == shown
    if anything.isprintable():
        assert shown == anything


def test_surrogates_and_direction_marks_are_escaped():
    assert visible("a\udcffb\u202ec\u200bd\n") == "a\\udcffb\\u202ec\\u200bd\\n"
    assert visible("größe/層 é") == "größe/層 é"


@given(st.text(), st.integers(min_value=1, max_value=40))
def test_shortened_keeps_both_ends(anything, limit):
    shown = shortened(anything, limit)
    assert len(shown) <= limit
    if len(anything) > limit:
        assert shown.count("…") >= 1
        assert anything.startswith(shown.split("…")[0][: (limit - 1) // 2])
    else:
        assert shown == anything


@pytest.mark.parametrize(
    ("secs", "expected"),
    [(0, "0 s ago"), (-30, "0 s ago"), (-90, "in the future"), (59, "59 s ago"), (7199, "1 h ago"), (1e6, "1 w ago")],
)
def test_age_names_its_largest_unit(secs, expected):
    assert text.age_text(NOW - dt.timedelta(seconds=secs), NOW) == expected


@pytest.mark.parametrize(
    ("size", "expected"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2e9, "2.0 GB"), (3.25e12, "3.2 TB")]
)
def test_sizes_use_powers_of_1000(size, expected):
    assert text.bytes_text(size) == expected


def test_a_sparkline_rises_with_its_values():
    assert sparkline(list(range(8)), [float(step) for step in range(8)], 8) == "▁▂▃▄▅▆▇█"
    assert sparkline([0, 1, 2], [5.0, 5.0, 5.0], 3) == "▅▅▅"
    assert sparkline([], [], 4) == "    "
    assert sparkline([7], [1e308], 4)[0] == "▅"


def test_a_sparkline_marks_non_finite_values():
    line = sparkline(list(range(1000)), [math.nan if step == 613 else 1.0 for step in range(1000)], 10)
    assert line == "▅▅▅▅▅▅×▅▅▅"
    assert sparkline([0, 1], [math.inf, -math.inf], 2) == "××"


def test_a_sparkline_shows_gaps_but_not_in_a_sparse_series():
    assert sparkline([0, 1, 2, 3, 16, 17, 18, 19], [1.0] * 8, 10) == "▅▅      ▅▅"
    assert sparkline(list(range(0, 100, 25)), [1.0] * 4, 20) == "▅" * 20


def test_a_sparkline_of_extreme_steps_and_values():
    assert sparkline([-(1 << 63), (1 << 63) - 1], [-1e308, 1e308], 4)[::3] == "▁█"
    assert sparkline([0, 1], [1.7e308, -1.7e308], 2) == "█▁"
