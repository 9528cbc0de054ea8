"""Texts of a run are displayed literally, bounded and on one line."""

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holter.plots.build.text import display_text, distinct_parts, plotly_text


@given(st.text(), st.integers(8, 200))
def test_plotly_text_is_escaped_and_decodes_to_display_text(text, max_chars):
    escaped = plotly_text(text, max_chars)
    # Plotly parses tags and templates first and decodes entities last.
    assert not set(escaped) & set("<>%$\n\r\t")
    assert html.unescape(escaped) == display_text(text, max_chars)


@given(st.text(), st.integers(8, 200))
def test_display_text_is_printable_and_bounded(text, max_chars):
    short = display_text(text, max_chars)
    assert len(short) <= max_chars
    assert short.isprintable()
    if text.isprintable():
        assert len(short) == min(len(text), max_chars)
        head, _, tail = short.partition("…") if len(text) > max_chars else (short, "", "")
        assert text.startswith(head)
        assert text.endswith(tail)


def test_unprintable_characters_are_escaped():
    assert display_text("a\u202eb\x00c\nd", 30) == r"a\u202eb\x00c\nd"


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
def test_common_parts_of_names_are_removed(names, parts):
    assert distinct_parts(names) == parts


@given(st.lists(st.text("ab/.", min_size=1, max_size=8), min_size=1, max_size=6, unique=True))
def test_distinct_parts_are_distinct_and_not_empty(names):
    parts = distinct_parts(names)
    assert len(set(parts)) == len(parts) == len(names)
    assert all(parts)
