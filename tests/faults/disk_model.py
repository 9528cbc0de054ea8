"""What a disk may hold after a loss of power, of the changes that a recorder made and the syncs that it asked for.

A change is on the disk for certain when a sync of its file has returned; before, it may be there, or not, or a part of
it, whatever came before and after it. Of names there are two readings. `Names.ORDERED` is what ext4, XFS and Btrfs do:
they become durable in the order of their changes, and each sync of anything takes along all that came before.
`Names.STRICT` is all that POSIX promises: a name is durable when its folder was synced.

When a sync fails, what it was for is never written: Linux takes the pages for clean, and the next sync succeeds.
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
    """One call that changed something, or a sync."""

    kind: Kind
    path: str
    """Below the disk's root, as all paths here."""
    other: str
    data: bytes
    offset: int
    """Of a write; the length after a truncation; whether a sync failed."""


def read_log(log: Path, root: Path) -> list[Change]:
    """All changes that the shim has written down."""
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
    """When a name is durable."""

    ORDERED = "ordered"
    STRICT = "strict"


@dataclass
class Node:
    """A file, whatever its name, or a folder."""

    is_folder: bool = False
    durable: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)
    """Where what was written; or a new length, and None."""
    is_synced: bool = False
    mapped: Any = None
    """What else is known of it, for what is stored through a mapping does not show."""


@dataclass(frozen=True)
class _Naming:
    """A change of names: `path` is now `node`, or nothing; `was` names what it was called before, if anything."""

    path: str
    node: Node | None
    was: str = ""

    @property
    def folder(self) -> str:
        return str(PurePosixPath(self.path).parent)


class Disk:
    """A disk that changes are made to, one after the other."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.current: dict[str, Node] = {".": Node(is_folder=True)}
        self._durable: dict[str, Node] = dict(self.current)
        self._namings: list[_Naming] = []

    def apply(self, change: Change) -> None:
        """Make one change."""
        path = change.path
        if change.kind in (Kind.CREATE, Kind.MKDIR):
            self._name(_Naming(path, Node(is_folder=change.kind == Kind.MKDIR)))
        elif change.kind == Kind.UNLINK:
            self._name(_Naming(path, None))
        elif change.kind == Kind.RENAME:
            self._name(_Naming(change.other, self.current[path], path))
        elif path in self.current:  # Else it was unlinked, and is nothing to the disk.
            node = self.current[path]
            if change.kind == Kind.WRITE:
                node.pending.append((change.offset, change.data))
            elif change.kind == Kind.TRUNCATE:
                node.pending.append((change.offset, None))
            elif change.kind == Kind.SYNC:
                self._sync(path, node, failed=bool(change.offset))

    def crash(self, random: Random) -> Iterator[tuple[str, Node, bytearray]]:
        """What is there when the power comes back: names, what they name, and its content."""
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
        """The changes of names that made it without a sync: the first few, of all or of each folder."""
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
        """What is durable, and of what is not some changes whole, some in part, some not at all."""
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
    if naming.was:
        names.pop(naming.was, None)
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
