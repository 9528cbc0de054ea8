"""Damaged bytes for fuzzing tests of parsers."""

from hypothesis import strategies as st

_EDGES = [b"\x00", b"\xff", b"\x7f\xff\xff\xff", b"\xff" * 8, b"\x80" * 10, b"\x1b[2J", b'"', b"\n", b"[" * 3000]
"""Edge cases for lengths, texts and nesting."""


@st.composite
def damaged(draw: st.DrawFn, good: bytes) -> bytes:
    """Return the bytes after some edits: bits flipped, pieces cut, duplicated, replaced or inserted."""
    data = bytearray(good)
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.sampled_from([0, 1, 2, 4, 8, 40])))
        edit = draw(st.sampled_from(["bit", "cut", "double", "edge", "random", "end"]))
        if edit == "bit" and at < len(data):
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif edit == "cut":
            del data[at:end]
        elif edit == "double":
            data[at:at] = data[at:end]
        elif edit == "edge":
            data[at:end] = draw(st.sampled_from(_EDGES))
        elif edit == "random":
            data[at:end] = draw(st.binary(max_size=8))
        elif edit == "end":
            del data[at:]
    return bytes(data)
