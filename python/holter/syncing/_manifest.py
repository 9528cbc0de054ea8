"""`holter-sync.json`: what the copy of a rank says of itself. A file is in it only when it is complete there."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from holter.exceptions import FormatVersionError
from holter.syncing._names import is_copied

__all__ = ["MAX_BYTES", "CopiedFile", "Manifest"]

VERSION = 1
MAX_BYTES = 64 << 20
"""More is no manifest: a run of a billion points has one of 12 kB."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class CopiedFile:
    """A file of a copy.

    Attributes:
        size: Its size in bytes.
        sha256: Its SHA-256 in hexadecimal.
        mtime_ns: When its source was last written to: with the size it tells whether that has changed.
    """

    size: int
    sha256: str
    mtime_ns: int


@dataclass
class Manifest:
    """What is complete at the destination.

    Attributes:
        run_id: The `id` of the rank's `run.json`: a copy of another run is never mixed with this one.
        files: By their names below the rank's directory.
        is_complete: Whether the last sync of it came to its end.
    """

    run_id: str
    files: dict[str, CopiedFile] = field(default_factory=dict)
    is_complete: bool = False

    def dump(self) -> bytes:
        """Return the file's content."""
        files = {name: vars(self.files[name]) for name in sorted(self.files)}
        facts = {"version": VERSION, "run_id": self.run_id, "is_complete": self.is_complete, "files": files}
        return json.dumps(facts, indent=1).encode() + b"\n"

    @classmethod
    def parse(cls, content: bytes) -> Manifest:
        """Read what may have been written by anybody: files of other names than a copy has are passed over.

        Raises:
            FormatVersionError: A newer Holter wrote it.
            ValueError: It is no manifest.
        """
        try:
            facts = json.loads(content)
        except (ValueError, RecursionError):
            raise ValueError("it is no JSON") from None
        if not isinstance(facts, dict) or not isinstance(facts.get("version"), int):
            raise ValueError("it has no version")  # noqa: TRY004 - it is the content that is wrong
        if facts["version"] > VERSION:
            raise FormatVersionError(
                f"it has version {facts['version']}, and this Holter knows {VERSION}: update Holter"
            )
        run_id, files = facts.get("run_id"), facts.get("files")
        if not isinstance(run_id, str) or not isinstance(files, dict):
            raise ValueError("it names no run and its files")  # noqa: TRY004 - it is the content that is wrong
        known = {name: entry for name, value in files.items() if is_copied(name) and (entry := _entry(value))}
        return cls(run_id, known, facts.get("is_complete") is True)


def _entry(value: Any) -> CopiedFile | None:
    if not isinstance(value, dict):
        return None
    size, sha256, mtime_ns = (value.get(key) for key in ("size", "sha256", "mtime_ns"))
    if not isinstance(size, int) or not isinstance(mtime_ns, int) or not isinstance(sha256, str):
        return None
    return CopiedFile(size, sha256, mtime_ns) if _SHA256.fullmatch(sha256) else None
