"""Answers that were made already, up to so many bytes: the one that nobody has asked for longest goes first."""

import threading
from collections import OrderedDict
from collections.abc import Hashable

__all__ = ["ByteCache"]


class ByteCache:
    """Maps keys to bytes; may be used by several threads at once.

    Args:
        max_bytes: How many bytes all values together may have. A value larger than a quarter of it is not
            kept: it would push out what is asked for more often.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._values: OrderedDict[Hashable, bytes] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def num_bytes(self) -> int:
        """How many bytes the values have together."""
        return self._bytes

    def get(self, key: Hashable) -> bytes | None:
        """Return the value, or None."""
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
            return value

    def put(self, key: Hashable, value: bytes) -> None:
        """Keep a value, and forget others to make room for it."""
        if len(value) > self._max_bytes // 4:
            return
        with self._lock:
            self._bytes += len(value) - len(self._values.pop(key, b""))
            self._values[key] = value
            while self._bytes > self._max_bytes:
                _, forgotten = self._values.popitem(last=False)
                self._bytes -= len(forgotten)
