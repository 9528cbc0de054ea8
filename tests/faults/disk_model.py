"""A model of the possible contents of a disk after a power loss, given a recorder's changes and syncs.

A change is durable once a sync of its file has returned. Before that, it may be present, absent or torn,
independently of earlier and later changes. There are two models for names. `Names.ORDERED` is the behavior of ext4,
XFS and Btrfs: names become durable in the order of their changes, and a sync of any file includes all earlier changes
of names. `Names.STRICT` is the guarantee of POSIX: a name is durable once its folder was synced.

If a sync fails, its data is never written: Linux marks the pages clean, and the next sync succeeds.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path, PurePosixPath
from random import Random
from typing import Any

from tests.faults.shim import Kind

SECTOR_BYTES = 512


@dataclass(frozen=True)
class Change:
    """One call that changed a file or a name, or a sync."""

    kind: Kind
    path: str
    """Relative to the disk's root, like all paths here."""
    other: str
    data: bytes
    offset: int
    """The offset of a write; the length after a truncation; nonzero for a failed sync."""


def read_log(log: Path, root: Path) -> list[Change]:
    """Read all changes that the shim has logged."""
    text = log.read_bytes()
    changes = []
    position = 0
    while position < len(text):
        kind, *lengths, offset = struct.unpack_from("<IIIIQ", text, position)
        position += struct.calcsize("<IIIIQ")
        parts = []
        for length in lengths:
            parts.append(text[position : position + length])
            position += length
        path, other = (_below(root, part.decode()) for part in parts[:2])
        changes.append(Change(Kind(kind), path, other, parts[2], offset))
    return changes


def _below(root: Path, path: str) -> str:
    path = path.removesuffix(" (deleted)")
    return str(PurePosixPath(path).relative_to(root)) if path else ""


class Names(Enum):
    """When a name becomes durable."""

    ORDERED = "ordered"
    STRICT = "strict"


@dataclass
class Node:
    """A file or a folder, independent of its name."""

    is_folder: bool = False
    durable: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)
    """Offset and data of each write; a new length and None for a truncation."""
    is_synced: bool = False
    mapped: Any = None
    """Content written through a mapping, which the log of calls does not contain."""


@dataclass(frozen=True)
class _Naming:
    """A change of names: `path` now names `node`, or nothing; `source` is the previous name of a renamed node."""

    path: str
    node: Node | None
    source: str = ""

    @property
    def folder(self) -> str:
        return str(PurePosixPath(self.path).parent)


class Disk:
    """A disk to which changes are applied in sequence."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.current: dict[str, Node] = {".": Node(is_folder=True)}
        self._durable: dict[str, Node] = dict(self.current)
        self._namings: list[_Naming] = []

    def apply(self, change: Change) -> None:
        """Apply one change."""
        path = change.path
        if change.kind in (Kind.CREATE, Kind.MKDIR):
            self._name(_Naming(path, Node(is_folder=change.kind == Kind.MKDIR)))
        elif change.kind == Kind.UNLINK:
            self._name(_Naming(path, None))
        elif change.kind == Kind.RENAME:
            self._name(_Naming(change.other, self.current[path], path))
        elif path in self.current:  # An unlinked file has no effect on the disk.
            node = self.current[path]
            if change.kind == Kind.WRITE:
                node.pending.append((change.offset, change.data))
            elif change.kind == Kind.TRUNCATE:
                node.pending.append((change.offset, None))
            elif change.kind == Kind.SYNC:
                self._sync(path, node, failed=bool(change.offset))

    def crash(self, random: Random) -> Iterator[tuple[str, Node, bytearray]]:
        """Yield the files and folders that exist after a power loss: path, node, content."""
        names = dict(self._durable)
        for naming in self._survivors(random):
            _rename(names, naming)
        for path, node in sorted(names.items()):
            parents = [str(parent) for parent in PurePosixPath(path).parents]
            if path != "." and all(parent in names for parent in parents):
                yield path, node, self._content(node, random)

    def _name(self, naming: _Naming) -> None:
        _rename(self.current, naming)
        self._namings.append(naming)

    def _sync(self, path: str, node: Node, *, failed: bool) -> None:
        if failed:
            node.pending.clear()
            return
        for change in node.pending:
            _write(node.durable, *change)
        node.pending.clear()
        node.is_synced = True
        kept = []
        for naming in self._namings:
            if self.names is Names.ORDERED or (node.is_folder and naming.folder == path):
                _rename(self._durable, naming)
            else:
                kept.append(naming)
        self._namings = kept

    def _survivors(self, random: Random) -> list[_Naming]:
        """Return the unsynced changes of names that survive: a prefix of all of them, or of those in each folder."""
        if self.names is Names.ORDERED:
            return self._namings[: random.randint(0, len(self._namings))]
        folders = sorted({naming.folder for naming in self._namings})
        counts = {folder: random.randint(0, len(self._namings)) for folder in folders}
        kept = []
        for naming in self._namings:
            counts[naming.folder] -= 1
            if counts[naming.folder] >= 0:
                kept.append(naming)
        return kept

    def _content(self, node: Node, random: Random) -> bytearray:
        """Return the durable content plus a random choice of pending changes, some of them torn."""
        content = bytearray(node.durable)
        luck = random.choice((0.0, 0.3, 0.7, 1.0))
        for offset, data in node.pending:
            if data is None:
                if random.random() < luck:
                    _write(content, offset, None)
                continue
            is_torn = random.random() < 0.2
            if not is_torn and random.random() < luck:
                _write(content, offset, data)
            for start in range(0, len(data) if is_torn else 0, SECTOR_BYTES):
                if random.random() < luck:
                    _write(content, offset + start, data[start : start + SECTOR_BYTES])
        return content


def _rename(names: dict[str, Node], naming: _Naming) -> None:
    if naming.source:
        names.pop(naming.source, None)
    if naming.node is None:
        names.pop(naming.path, None)
    else:
        names[naming.path] = naming.node


def _write(content: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        del content[offset:]
        content.extend(bytes(offset - len(content)))
        return
    content.extend(bytes(max(0, offset - len(content))))
    content[offset : offset + len(data)] = data
