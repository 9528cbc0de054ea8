"""Updates the copy of one rank: parts first, then JSON Lines files, then `run.json`, and the copy's own manifest last.

So everything that `run.json` refers to exists before it does, and the copy is readable at any moment. After a sync is
killed, the next one continues. A part that the run has merged into another is removed once the other has been copied.
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING

from holter.exceptions import FormatVersionError
from holter.syncing._manifest import MAX_BYTES, CopiedFile, Manifest
from holter.syncing._names import LINES, MANIFEST, PARTS, RUN_FILE, part_number

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from holter.syncing._destination import Destination
    from holter.syncing._report import LeftOut
    from holter.syncing._source import Scan, Source, SourceFile

__all__ = ["RankSync", "sha256_of"]

MAX_SCANS = 100
"""Parts are merged once, when a run is closed: more changes than this mean that something else deletes them."""
BYTES_BETWEEN_MANIFESTS = 64 << 20
SECS_BETWEEN_MANIFESTS = 5.0
"""The most that a sync copies again after a killed one, in bytes and in seconds of copying."""
LARGE_LINES_BYTES = 4 << 20
LINES_GROWTH = 1.25
"""JSON Lines files are copied whole; large ones of a live run only after they have grown by this factor."""
_WHOLE_RUN = frozenset({"metrics.sqlite", "journal.holter"})


class RankSync:
    """Updates the copy of one rank, in two steps: `plan` and `execute`.

    Args:
        source: The rank's directory.
        destination: The folder of copies.
        folder: The path of this copy, relative to the destination.
        recopy: Files to copy even if they are unchanged.
        is_live: Whether the run is being recorded.
    """

    def __init__(
        self, source: Source, destination: Destination, folder: str, recopy: Collection[str], *, is_live: bool
    ) -> None:
        self._source = source
        self._destination = destination
        self._folder = folder
        self._recopy = recopy
        self._is_live = is_live
        self._saved_bytes, self._saved_at = 0, time.monotonic()
        self.copied: dict[str, int] = {}
        self.removed: list[str] = []

    def plan(self) -> None:
        """Determine the files to copy and remove.

        Raises:
            FileExistsError: If the destination holds another run, or a complete run instead of a copy.
            FormatVersionError: If a newer Holter made the existing copy.
            OSError: If the destination cannot be read.
            ValueError: If `run.json` is damaged.
        """
        self._run_file, content = self._source.manifest()
        self._run_id = _run_id(content)
        self._remote = self._destination.list(self._folder)
        parts = self._destination.list(f"{self._folder}/{PARTS}")
        self._unfinished = {self._folder: self._remote, f"{self._folder}/{PARTS}": parts}
        self._manifest = self._read_manifest()
        self._remote = {**self._remote, **{f"{PARTS}/{name}": size for name, size in parts.items()}}
        self._use_scan(self._source.scan())
        self._is_run_file_new = not self._is_unchanged(self._run_file)

    @property
    def todo(self) -> dict[str, int]:
        """The sizes of the files to copy, by name."""
        files = [*self._todo, *([self._run_file] if self._is_run_file_new else [])]
        return {file.name: file.size for file in files}

    @property
    def stale(self) -> list[str]:
        """The parts of the copy that the run has merged into others."""
        # Only parts older than a merged one: if the user deleted parts, their last copy must stay.
        local = {file.name for file in self._scan.files}
        missing = sorted(name for name in self._remote if name not in local)
        return [name for name in missing if self._is_before_merged(name)]

    @property
    def num_unchanged(self) -> int:
        """The number of files that need no copying."""
        return len(self._scan.files) + 1 - len(self.todo)

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """The files that cannot be copied."""
        return self._scan.left_out

    def simulate(self) -> None:
        """Record the planned changes as made, without making them."""
        self.copied, self.removed = self.todo, self.stale

    def execute(self, on_progress: Callable[[int], None]) -> None:
        """Make the planned changes, and follow a run that changes during the sync.

        Args:
            on_progress: Called with the number of bytes of this rank copied so far.

        Raises:
            OSError: If the source cannot be read or the destination cannot be written. Files copied so far stay.
        """
        changes = self.todo or self.stale or self._obsolete_entries() or self._is_refreshed
        for folder, names in self._unfinished.items():
            self._destination.remove_unfinished(folder, names)
        if self._manifest.is_complete and not changes:
            return
        self._manifest.is_complete = False
        self._copy_all(on_progress)
        for name in self.stale:
            self._destination.remove(f"{self._folder}/{name}")
            del self._remote[name]
            self.removed.append(name)
        for name in self._obsolete_entries():
            del self._manifest.files[name]
        if self._is_run_file_new:
            self._copy(self._run_file, on_progress)
        self._manifest.is_complete = True
        self._save_manifest()

    def _obsolete_entries(self) -> list[str]:
        """Return the manifest's entries of merged parts that no longer exist in the copy."""
        return [name for name in self._manifest.files if name not in self._remote and self._is_before_merged(name)]

    def _is_before_merged(self, name: str) -> bool:
        folder, _, base = name.rpartition("/")
        number = part_number(base) if folder == PARTS else None
        return number is not None and number < self._scan.merged_until

    def _copy_all(self, on_progress: Callable[[int], None]) -> None:
        for _ in range(MAX_SCANS):
            try:
                for file in self._todo:
                    self._copy(file, on_progress)
            except FileNotFoundError:
                pass  # merged into another part since the directory was listed
            else:
                return
            self._use_scan(self._source.scan())
        raise OSError(f"{self._folder}: its files are deleted faster than they can be copied")

    def _copy(self, file: SourceFile, on_progress: Callable[[int], None]) -> None:
        before = sum(self.copied.values())
        with self._source.content(file) as path:
            sha256 = sha256_of(path)
            target = f"{self._folder}/{file.name}"
            self._destination.put(path, target, file.size, lambda size: on_progress(before + size))
        self._manifest.files[file.name] = CopiedFile(file.size, sha256, file.mtime_ns)
        self._remote[file.name] = file.size
        self.copied[file.name] = file.size
        done = before + file.size
        is_late = time.monotonic() - self._saved_at >= SECS_BETWEEN_MANIFESTS
        if file is not self._run_file and (is_late or done - self._saved_bytes >= BYTES_BETWEEN_MANIFESTS):
            self._save_manifest()
            self._saved_bytes, self._saved_at = done, time.monotonic()

    def _save_manifest(self) -> None:
        self._destination.put_bytes(self._manifest.dump(), f"{self._folder}/{MANIFEST}")

    def _use_scan(self, scan: Scan) -> None:
        self._scan = scan
        self._is_refreshed = False
        self._todo = [file for file in scan.files if not self._is_unchanged(file)]

    def _is_unchanged(self, file: SourceFile) -> bool:
        known = self._manifest.files.get(file.name)
        if known is None or file.name in self._recopy or self._remote.get(file.name) != known.size:
            return False
        has_grown_little = LARGE_LINES_BYTES < known.size <= file.size < LINES_GROWTH * known.size
        if self._is_live and file.name in LINES and has_grown_little:
            return True
        if known.size != file.size:
            return False
        if known.mtime_ns == file.mtime_ns:
            return True
        # The run may itself be a copy whose files have different times.
        try:
            with self._source.content(file) as path:
                is_same = sha256_of(path) == known.sha256
        except FileNotFoundError:
            return False
        if is_same:
            self._manifest.files[file.name] = CopiedFile(file.size, known.sha256, file.mtime_ns)
            self._is_refreshed = True
        return is_same

    def _read_manifest(self) -> Manifest:
        """Read the copy's manifest; return an empty one if it is missing or damaged.

        Raises:
            FileExistsError: If the destination is not a copy of this run.
            FormatVersionError: If a newer Holter made the copy.
        """
        where = f"{self._destination.url}: {self._folder}"
        if MANIFEST not in self._remote and self._remote.keys() & _WHOLE_RUN:
            raise FileExistsError(f"{where} is a run, not a copy: choose another destination")
        known = Manifest(self._run_id)
        if self._remote.get(MANIFEST, MAX_BYTES + 1) <= MAX_BYTES:
            try:
                known = Manifest.parse(self._destination.read(f"{self._folder}/{MANIFEST}"))
            except FormatVersionError as error:
                raise FormatVersionError(f"{where}/{MANIFEST}: {error}") from None
            except ValueError:
                known = Manifest(self._remote_run_id())
        elif RUN_FILE in self._remote:
            known = Manifest(self._remote_run_id())
        if known.run_id != self._run_id:
            raise FileExistsError(f"{where} is a copy of another run: choose another --name or destination")
        return known

    def _remote_run_id(self) -> str:
        if RUN_FILE not in self._remote:
            return self._run_id
        try:
            return _run_id(self._destination.read(f"{self._folder}/{RUN_FILE}"))
        except ValueError:
            return self._run_id  # truncated by a remote that supports neither atomic uploads nor renames


def _run_id(content: bytes) -> str:
    """Return the `id` in the content of `run.json`.

    Raises:
        ValueError: If the content is invalid.
    """
    try:
        facts = json.loads(content)
    except (ValueError, RecursionError):
        raise ValueError(f"{RUN_FILE} is damaged: it is not valid JSON") from None
    run_id = facts.get("id") if isinstance(facts, dict) else None
    if not isinstance(run_id, str):
        raise ValueError(f"{RUN_FILE} is damaged: it has no id")  # noqa: TRY004 - the content is invalid
    return run_id


def sha256_of(path: str) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:  # noqa: PTH123 - a path of a descriptor
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
