"""Brings the copy of one rank up to date: parts first, then lines, then `run.json`, and what it says of itself last.

So what `run.json` speaks of is there before it is, and the copy can be read at any moment. A sync that is killed leaves
a copy that the next one goes on with. A part that the run has merged into another is removed when that one is there.
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING, Any

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
"""Parts are merged when a run is closed, once: a rank whose parts go faster than this is being played with."""
BYTES_BETWEEN_NOTES = 64 << 20
SECS_BETWEEN_NOTES = 5.0
"""So much, or so long, is copied again at most by the sync after one that was killed."""
LINES_WORTH_WAITING = 4 << 20
LINES_GROWTH = 1.25
"""Lines are copied as a whole: those of a live run again only when there are so many more."""
_WHOLE_RUN = frozenset({"metrics.sqlite", "journal.holter"})


class RankSync:
    """The copy of one rank, in two steps: `plan` finds out what is to be done, `execute` does it.

    Args:
        source: The rank's directory.
        destination: Where copies go.
        folder: Where this one lies there.
        again: Files that are to be copied whatever is known of them.
        is_live: Whether the run is being recorded.
    """

    def __init__(
        self, source: Source, destination: Destination, folder: str, again: Collection[str], *, is_live: bool
    ) -> None:
        self._source = source
        self._destination = destination
        self._folder = folder
        self._again = again
        self._is_live = is_live
        self._noted_bytes, self._noted_at = 0, time.monotonic()
        self.copied: dict[str, int] = {}
        self.removed: list[str] = []

    def plan(self) -> None:
        """Find out what is to be copied and removed.

        Raises:
            FileExistsError: Another run, or a whole one, is at the destination.
            FormatVersionError: A newer Holter made the copy that is there.
            OSError: The destination cannot be read.
            ValueError: `run.json` is damaged.
        """
        self._run_file, content = self._source.manifest()
        self._facts = _facts(content)
        self._there = self._destination.list(self._folder)
        parts = self._destination.list(f"{self._folder}/{PARTS}")
        self._unfinished = {self._folder: self._there, f"{self._folder}/{PARTS}": parts}
        self._manifest = self._read_manifest()
        self._there = {**self._there, **{f"{PARTS}/{name}": size for name, size in parts.items()}}
        self._look(self._source.scan())
        self._is_run_file_new = not self._is_unchanged(self._run_file)

    @property
    def todo(self) -> dict[str, int]:
        """The files that are to be copied and their sizes."""
        files = [*self._todo, *([self._run_file] if self._is_run_file_new else [])]
        return {file.name: file.size for file in files}

    @property
    def stale(self) -> list[str]:
        """The parts of the copy that the run has merged into others."""
        # Only if a newer one was merged here: that some are gone is no reason to remove the last copy of them.
        here = {file.name for file in self._scan.files}
        gone = sorted(name for name in self._there if name not in here)
        return [name for name in gone if self._is_before_merged(name)]

    @property
    def num_unchanged(self) -> int:
        """How many files need not be copied."""
        return len(self._scan.files) + 1 - len(self.todo)

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """What cannot be copied."""
        return self._scan.left_out

    def pretend(self) -> None:
        """Take what was planned for done, and do nothing."""
        self.copied, self.removed = self.todo, self.stale

    def execute(self, progress: Callable[[int], None]) -> None:
        """Do what was planned; a run that goes on meanwhile is followed.

        Args:
            progress: Is told how many bytes of this rank have been copied.

        Raises:
            OSError: The source cannot be read or the destination not be written to. What was copied so far stays.
        """
        changes = self.todo or self.stale or self._forgotten() or self._is_refreshed
        for folder, names in self._unfinished.items():
            self._destination.remove_unfinished(folder, names)
        if self._manifest.is_complete and not changes:
            return
        self._manifest.is_complete = False
        self._copy_all(progress)
        for name in self.stale:
            self._destination.remove(f"{self._folder}/{name}")
            del self._there[name]
            self.removed.append(name)
        for name in self._forgotten():
            del self._manifest.files[name]
        if self._is_run_file_new:
            self._copy(self._run_file, progress)
        self._manifest.is_complete = True
        self._note()

    def _forgotten(self) -> list[str]:
        """What is noted of parts that were merged here and are gone there."""
        return [name for name in self._manifest.files if name not in self._there and self._is_before_merged(name)]

    def _is_before_merged(self, name: str) -> bool:
        folder, _, base = name.rpartition("/")
        number = part_number(base) if folder == PARTS else None
        return number is not None and number < self._scan.merged_until

    def _copy_all(self, progress: Callable[[int], None]) -> None:
        for _ in range(MAX_SCANS):
            try:
                for file in self._todo:
                    self._copy(file, progress)
            except FileNotFoundError:
                pass  # merged into another part since the directory was listed
            else:
                return
            self._look(self._source.scan())
        raise OSError(f"{self._folder}: its files go faster than they can be copied")

    def _copy(self, file: SourceFile, progress: Callable[[int], None]) -> None:
        before = sum(self.copied.values())
        with self._source.content(file) as path:
            sha256 = sha256_of(path)
            target = f"{self._folder}/{file.name}"
            self._destination.put(path, target, file.size, lambda size: progress(before + size))
        self._manifest.files[file.name] = CopiedFile(file.size, sha256, file.mtime_ns)
        self._there[file.name] = file.size
        self.copied[file.name] = file.size
        done = before + file.size
        is_late = time.monotonic() - self._noted_at >= SECS_BETWEEN_NOTES
        if file is not self._run_file and (is_late or done - self._noted_bytes >= BYTES_BETWEEN_NOTES):
            self._note()
            self._noted_bytes, self._noted_at = done, time.monotonic()

    def _note(self) -> None:
        self._destination.put_bytes(self._manifest.dump(), f"{self._folder}/{MANIFEST}")

    def _look(self, scan: Scan) -> None:
        self._scan = scan
        self._is_refreshed = False
        self._todo = [file for file in scan.files if not self._is_unchanged(file)]

    def _is_unchanged(self, file: SourceFile) -> bool:
        known = self._manifest.files.get(file.name)
        if known is None or file.name in self._again or self._there.get(file.name) != known.size:
            return False
        if (
            self._is_live
            and file.name in LINES
            and LINES_WORTH_WAITING < known.size <= file.size < LINES_GROWTH * known.size
        ):
            return True
        if known.size != file.size:
            return False
        if known.mtime_ns == file.mtime_ns:
            return True
        # The run itself may be a copy, whose files have other times.
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
        """What is known of the copy; nothing if there is none, or none that can be believed.

        Raises:
            FileExistsError: What is there is not a copy of this run.
            FormatVersionError: A newer Holter made it.
        """
        run_id = self._facts["id"]
        where = f"{self._destination.url}: {self._folder}"
        if MANIFEST not in self._there and self._there.keys() & _WHOLE_RUN:
            raise FileExistsError(f"{where} is a whole run, not a copy: choose another place for copies")
        known = Manifest(run_id)
        if self._there.get(MANIFEST, MAX_BYTES + 1) <= MAX_BYTES:
            try:
                known = Manifest.parse(self._destination.read(f"{self._folder}/{MANIFEST}"))
            except FormatVersionError as error:
                raise FormatVersionError(f"{where}/{MANIFEST}: {error}") from None
            except ValueError:
                known = Manifest(self._run_id_there())
        elif RUN_FILE in self._there:
            known = Manifest(self._run_id_there())
        if known.run_id != run_id:
            raise FileExistsError(f"{where} is a copy of another run: copy this one as another --name, or elsewhere")
        return known

    def _run_id_there(self) -> str:
        if RUN_FILE not in self._there:
            return str(self._facts["id"])
        try:
            return str(_facts(self._destination.read(f"{self._folder}/{RUN_FILE}"))["id"])
        except ValueError:
            return str(self._facts["id"])  # cut short by a remote that neither puts whole files nor renames


def _facts(content: bytes) -> dict[str, Any]:
    """What `run.json` says.

    Raises:
        ValueError: It is none.
    """
    try:
        facts = json.loads(content)
    except (ValueError, RecursionError):
        raise ValueError(f"{RUN_FILE} is damaged: it is no JSON") from None
    if not isinstance(facts, dict) or not isinstance(facts.get("id"), str):
        raise ValueError(f"{RUN_FILE} is damaged: it names no id")  # noqa: TRY004 - it is the content that is wrong
    return facts


def sha256_of(path: str) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:  # noqa: PTH123 - a path of a descriptor
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
