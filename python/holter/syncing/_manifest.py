"""`holter-sync.json`: the manifest of a rank's copy. It lists a file only when the file is complete."""

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
"""Upper bound for a valid manifest; that of a billion points has 12 kB."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class CopiedFile:
    """A file of a copy.

    Attributes:
        size: Its size in bytes.
        sha256: Its SHA-256 in hexadecimal.
        mtime_ns: Modification time of its source, which together with the size detects changes.
    """

    size: int
    sha256: str
    mtime_ns: int


@dataclass
class Manifest:
    """The complete files at the destination.

    Attributes:
        run_id: The `id` in the rank's `run.json`, so that copies of different runs are never mixed.
        files: The files by name, relative to the rank's directory.
        is_complete: Whether the last sync completed.
    """

    run_id: str
    files: dict[str, CopiedFile] = field(default_factory=dict)
    is_complete: bool = False

    def dump(self) -> bytes:
        """Serialize the manifest."""
        files = {name: vars(self.files[name]) for name in sorted(self.files)}
        facts = {"version": VERSION, "run_id": self.run_id, "is_complete": self.is_complete, "files": files}
        return json.dumps(facts, indent=1).encode() + b"\n"

    @classmethod
    def parse(cls, content: bytes) -> Manifest:
        """Parse untrusted content; ignore files whose names do not occur in copies.

        Raises:
            FormatVersionError: If a newer Holter wrote it.
            ValueError: If it is not a manifest.
        """
        try:
            facts = json.loads(content)
        except (ValueError, RecursionError):
            raise ValueError("not valid JSON") from None
        if not isinstance(facts, dict) or not isinstance(facts.get("version"), int):
            raise ValueError("it has no version")  # noqa: TRY004 - the content is invalid, not an argument's type
        if facts["version"] > VERSION:
            raise FormatVersionError(
                f"its version {facts['version']} is newer than the supported version {VERSION}: update Holter"
            )
        run_id, files = facts.get("run_id"), facts.get("files")
        if not isinstance(run_id, str) or not isinstance(files, dict):
            raise ValueError("it has no run_id or files")  # noqa: TRY004 - the content is invalid
        known = {name: entry for name, value in files.items() if is_copied(name) and (entry := _entry(value))}
        return cls(run_id, known, facts.get("is_complete") is True)


def _entry(value: Any) -> CopiedFile | None:
    if not isinstance(value, dict):
        return None
    size, sha256, mtime_ns = (value.get(key) for key in ("size", "sha256", "mtime_ns"))
    if not isinstance(size, int) or not isinstance(mtime_ns, int) or not isinstance(sha256, str):
        return None
    return CopiedFile(size, sha256, mtime_ns) if _SHA256.fullmatch(sha256) else None
