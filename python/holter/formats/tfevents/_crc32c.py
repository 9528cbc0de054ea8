"""CRC-32C (RFC 3720, B.4) of many spans of a buffer at once, and the mask that TFRecord puts over it.

numpy has no CRC, and Python needs 100 ns for each byte. Here all spans go forward together, four bytes at a time: the
spans' ends are aligned, which zeros in front allow, since they leave a register that is zero as it is.
"""

from __future__ import annotations

import functools
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["MAX_SPAN_AT_ONCE", "masked_crcs", "masked_crcs_of_rows"]

Bytes: TypeAlias = npt.NDArray[np.uint8]
Words: TypeAlias = npt.NDArray[np.uint32]

MAX_SPAN_AT_ONCE = 4096
"""Spans up to this long are taken together; a buffer needs so many bytes in front of the first one."""

_POLYNOMIAL = np.uint32(0x82F63B78)
_ALL_ONES = 0xFFFFFFFF
_ROWS_AT_ONCE = 1 << 14
_SEGMENT = 1024


def masked_crcs(buffer: Bytes, starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> Words:
    """The masked CRC of each span `buffer[start : start + length]`.

    Args:
        buffer: any bytes; the first `MAX_SPAN_AT_ONCE` of them belong to no span.
        starts: where the spans begin.
        lengths: how long each is.
    """
    crcs = np.empty(len(starts), np.uint32)
    # Widths in steps of 32 bytes at first, of a quarter later: few of them, and little in front of the spans.
    widths = np.maximum(32, -(-lengths // 32) * 32)
    wide = lengths > 256
    step = 2 ** np.maximum(0, np.ceil(np.log2(np.maximum(lengths, 1))).astype(np.int64) - 2)
    widths[wide] = (-(-lengths // step) * step)[wide]
    is_odd = (lengths < 4) | (lengths > MAX_SPAN_AT_ONCE)
    for index in np.flatnonzero(is_odd).tolist():
        start = int(starts[index])
        crcs[index] = _crc(buffer[start : start + int(lengths[index])])
    for width in np.unique(widths[~is_odd]).tolist():
        chosen = np.flatnonzero(~is_odd & (widths == width))
        windows = np.lib.stride_tricks.sliding_window_view(buffer, width)
        columns = np.arange(width)
        for begin in range(0, len(chosen), _ROWS_AT_ONCE):
            some = chosen[begin : begin + _ROWS_AT_ONCE]
            rows = windows[starts[some] + lengths[some] - width]
            before = (width - lengths[some])[:, None]
            rows[columns < before] = 0
            # To begin with a register of ones is to begin with zero and to turn the first four bytes over.
            rows[(columns >= before) & (columns < before + 4)] ^= 0xFF
            crcs[some] = _registers(rows, np.zeros(len(some), np.uint32)) ^ np.uint32(_ALL_ONES)
    return _masked(crcs)


def masked_crcs_of_rows(rows: Bytes) -> Words:
    """The masked CRC of each row of a matrix."""
    return _masked(_registers(rows, np.full(len(rows), _ALL_ONES, np.uint32)) ^ np.uint32(_ALL_ONES))


def _masked(crcs: Words) -> Words:
    """The rotation and the constant of TFRecord, which keep a CRC of data that holds CRCs from being regular."""
    return ((crcs >> np.uint32(15)) | (crcs << np.uint32(17))) + np.uint32(0xA282EAD8)


def _registers(rows: Bytes, registers: Words) -> Words:
    """The registers after each one's row went through."""
    low, high, one = _tables()
    whole = rows.shape[1] // 4 * 4
    words = np.ascontiguousarray(np.ascontiguousarray(rows[:, :whole]).view("<u4").T)
    for word in words:
        mixed = registers ^ word
        registers = low[mixed & np.uint32(0xFFFF)] ^ high[mixed >> np.uint32(16)]
    for column in range(whole, rows.shape[1]):
        registers = one[(registers ^ rows[:, column]) & np.uint32(0xFF)] ^ (registers >> np.uint32(8))
    return registers


@functools.cache
def _tables() -> tuple[Words, Words, Words]:
    """What two bytes do that two others follow, what two bytes do at the end, and what one byte does."""
    one = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        one = np.where(one & 1, (one >> np.uint32(1)) ^ _POLYNOMIAL, one >> np.uint32(1))
    eight, byte = np.uint32(8), np.uint32(0xFF)
    high = np.arange(1 << 16, dtype=np.uint32)
    for _ in range(2):
        high = one[high & byte] ^ (high >> eight)
    low = high
    for _ in range(2):
        low = one[low & byte] ^ (low >> eight)
    return low, high, one


def _crc(span: Bytes) -> int:
    """The CRC of one span, however long."""
    register = _ALL_ONES
    whole = len(span) // _SEGMENT
    if whole:
        segments = span[: whole * _SEGMENT].reshape(whole, _SEGMENT)
        first, second, third, fourth = _over_a_segment()
        for own in _registers(segments, np.zeros(whole, np.uint32)).tolist():
            shifted = first[register & 255] ^ second[register >> 8 & 255] ^ third[register >> 16 & 255]
            register = shifted ^ fourth[register >> 24] ^ own
    one = _tables()[2]
    for byte in span[whole * _SEGMENT :].tolist():
        register = int(one[(register ^ byte) & 255]) ^ (register >> 8)
    return register ^ _ALL_ONES


@functools.cache
def _over_a_segment() -> tuple[list[int], list[int], list[int], list[int]]:
    """What a segment of zeros makes of each byte of a register; for all of it together that is their exclusive or."""
    values = np.arange(256, dtype=np.uint32)
    first, second, third, fourth = (
        _registers(np.zeros((256, _SEGMENT), np.uint8), values << np.uint32(8 * place)).tolist() for place in range(4)
    )
    return first, second, third, fourth
