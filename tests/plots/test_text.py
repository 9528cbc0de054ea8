"""Texts of a run are shown as they are, bounded and on one line, and never as markup."""

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holter.plots.build.text import distinct_parts, plotly_text, shortened


@given(st.text(), st.integers(8, 200))
def test_plotly_shows_the_text_and_nothing_else(text, characters):
    shown = plotly_text(text, characters)
    # Plotly splits at tags and templates first, and decodes entities last.
    assert not set(shown) & set("<>%$\n\r\t")
    assert html.unescape(shown) == shortened(text, characters)


@given(st.text(), st.integers(8, 200))
def test_a_shortened_text_has_its_ends(text, characters):
    short = shortened(text, characters)
    assert len(short) == min(len(text), characters)
    assert all(char.isprintable() or char == "\u200d" for char in short)
    if len(text) > characters and text.isascii() and text.isprintable():
        assert text.startswith(short.split("…")[0])
        assert text.endswith(short.split("…")[1])


def test_what_would_turn_the_text_around_is_replaced():
    assert shortened("a\u202eb\x00c\nd", 10) == "a\ufffdb\ufffdc\ufffdd"


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        (["x/layer_0", "x/layer_10"], ["layer_0", "layer_10"]),
        (["h.0.attn.weight", "h.11.attn.weight"], ["0", "11"]),
        (["layer_0/entropy", "layer_1/entropy"], ["layer_0", "layer_1"]),
        (["train/loss", "val/loss"], ["train", "val"]),
        (["a", "a/b"], ["a", "a/b"]),
        (["x/a", "x/a/a"], ["a", "a/a"]),
        (["a/b", "a/b/b"], ["b", "b/b"]),
        (["/a", "b/a"], ["/a", "b/a"]),
        (["loss"], ["loss"]),
        ([], []),
    ],
)
def test_what_all_names_have_in_common_is_left_out(names, parts):
    assert distinct_parts(names) == parts


@given(st.lists(st.text("ab/.", min_size=1, max_size=8), min_size=1, max_size=6, unique=True))
def test_distinct_names_stay_distinct_and_something_is_left_of_each(names):
    parts = distinct_parts(names)
    assert len(set(parts)) == len(parts) == len(names)
    assert all(parts)
