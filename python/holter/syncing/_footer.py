"""Which parts a merged part replaces: one key of its footer, read without a Parquet library.

A Parquet file ends in its footer, the footer's length in four bytes and `PAR1`. The footer is in Thrift's compact
protocol, where a pair of the key-value metadata is: 0x18, the key's length, the key, 0x18, the value's length, the
value.
"""

from __future__ import annotations

import os
import re

__all__ = ["replaced_parts"]

_MAX_FOOTER = 64 << 20
"""A footer has some 600 bytes for each row group of 131,000 rows."""
_KEY = b"holter.replaces"
_PAIR = re.compile(rb"\x18" + bytes([len(_KEY)]) + re.escape(_KEY) + rb"\x18([\x80-\xff]*[\x00-\x7f])")


def replaced_parts(file: int) -> frozenset[int] | None:
    """Return the numbers of the parts whose rows are all in this one.

    Args:
        file: The descriptor of an open part.

    Returns:
        None for a part that was not merged of others, and for a file that is none.
    """
    size = os.fstat(file).st_size
    tail = os.pread(file, 8, max(size - 8, 0))
    length = int.from_bytes(tail[:4], "little")
    if len(tail) < 8 or tail[4:] != b"PAR1" or not 0 < length <= min(size - 8, _MAX_FOOTER):
        return None
    footer = os.pread(file, length, size - 8 - length)
    found = _PAIR.search(footer)
    if found is None:
        return None
    value_length = sum((byte & 0x7F) << (7 * place) for place, byte in enumerate(found[1]))
    numbers = footer[found.end() : found.end() + value_length].split(b",")
    return frozenset(int(number) for number in numbers if number.isdigit())
