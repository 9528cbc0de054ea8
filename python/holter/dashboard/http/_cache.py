"""A least-recently-used cache with a limit in bytes."""

import threading
from collections import OrderedDict
from collections.abc import Hashable

__all__ = ["ByteCache"]


class ByteCache:
    """Maps keys to bytes. Thread-safe.

    Args:
        max_bytes: Limit on the total size of all values. A value larger than a quarter of it is not stored, because
            it would evict too many others.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._values: OrderedDict[Hashable, bytes] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def num_bytes(self) -> int:
        """Total size of all values."""
        return self._bytes

    def get(self, key: Hashable) -> bytes | None:
        """Return the value, or None."""
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
            return value

    def put(self, key: Hashable, value: bytes) -> None:
        """Store a value, evicting the least recently used ones to make room."""
        if len(value) > self._max_bytes // 4:
            return
        with self._lock:
            self._bytes += len(value) - len(self._values.pop(key, b""))
            self._values[key] = value
            while self._bytes > self._max_bytes:
                _, evicted = self._values.popitem(last=False)
                self._bytes -= len(evicted)
