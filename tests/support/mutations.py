"""Bytes that were good once: what a fuzzing test gives to whatever reads them."""

from hypothesis import strategies as st

_EDGES = [b"\x00", b"\xff", b"\x7f\xff\xff\xff", b"\xff" * 8, b"\x80" * 10, b"\x1b[2J", b'"', b"\n", b"[" * 3000]
"""What lengths, texts and nestings go wrong at."""


@st.composite
def damaged(draw: st.DrawFn, good: bytes) -> bytes:
    """The bytes after some strokes: bits turned, pieces cut out, doubled, replaced or put in."""
    data = bytearray(good)
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.sampled_from([0, 1, 2, 4, 8, 40])))
        stroke = draw(st.sampled_from(["bit", "cut", "double", "edge", "random", "end"]))
        if stroke == "bit" and at < len(data):
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif stroke == "cut":
            del data[at:end]
        elif stroke == "double":
            data[at:at] = data[at:end]
        elif stroke == "edge":
            data[at:end] = draw(st.sampled_from(_EDGES))
        elif stroke == "random":
            data[at:end] = draw(st.binary(max_size=8))
        elif stroke == "end":
            del data[at:]
    return bytes(data)
