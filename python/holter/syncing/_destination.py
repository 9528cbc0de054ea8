"""A folder of copies at any URL that fsspec supports.

A file appears under its name only when it is complete. Object stores upload a file atomically. Elsewhere it is written
under a temporary name, its size is verified, and it is renamed. If the file system supports neither, like `memory://`,
the file is written in place. Every failure is an OSError whose message contains no password.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holter.syncing._secrets import Redaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Destination"]

_ATOMIC_PUT = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss"})
_UNFINISHED = re.compile(r".+\.[0-9a-f]{16}\.holter-sync\.tmp", re.DOTALL)
_LOCAL = frozenset({"file", "local"})
_FTP_BLOCK = 4 << 20
"""fsspec opens a connection for each block that it sends over FTP, and its default is 64 KiB."""
_REMOTE_SHELL = re.compile(r"(?!.*://)[\w.@-]{2,}:")


class Destination:
    """A folder for copies of runs. It is created on demand, but a bucket must exist.

    Args:
        url: Any URL that fsspec supports, such as `s3://bucket/runs`, `sftp://host/path`,
            `ftp://user:password@host/path` or `file:///path`. A bare path is a local folder.
        **options: Arguments of fsspec's file system for the URL, such as `endpoint_url` or `key`. Defaults come from
            the environment and from the configuration files of fsspec and the remote's library.

    Raises:
        ImportError: If fsspec, or its backend for this kind of URL, is not installed.
        OSError: If the remote cannot be reached or denies access.
        ValueError: If fsspec does not support the URL.
    """

    def __init__(self, url: str, **options: Any) -> None:
        self._redaction = Redaction(url, options)
        self._files, path = self._open(url, options)
        protocols = {self._files.protocol} if isinstance(self._files.protocol, str) else set(self._files.protocol)
        self._is_local = bool(protocols & _LOCAL)
        self._is_put_atomic = bool(protocols & _ATOMIC_PUT)
        self._can_rename = _can_rename(self._files)
        self._base = path.rstrip("/")
        if self._is_put_atomic and not self._base:
            raise ValueError(f"{self.url} does not name a bucket")

    @property
    def url(self) -> str:
        """The URL without its password and its query, which may hold a signature."""
        return self._redaction.url

    def local_path(self, folder: str) -> Path | None:
        """Return the path of a folder on this machine; None if the destination is remote."""
        return Path(self._at(folder)) if self._is_local else None

    def list(self, folder: str) -> dict[str, int]:
        """Return the sizes of the files in a folder by name; empty if the folder does not exist."""
        with self._os_errors(f"cannot list {folder}"):
            self._files.invalidate_cache()
            try:
                found = self._files.ls(self._at(folder), detail=True)
            except FileNotFoundError:
                return {}
        files = (entry for entry in found if entry.get("type") == "file")
        return {str(entry["name"]).rpartition("/")[2]: int(entry["size"] or 0) for entry in files}

    def read(self, path: str) -> bytes:
        """Return the content of a small file."""
        with self._os_errors(f"cannot read {path}"):
            return bytes(self._files.cat_file(self._at(path)))

    def fetch(self, path: str, local: Path) -> None:
        """Download a file to a path on this machine."""
        with self._os_errors(f"cannot read {path}"):
            self._files.get_file(self._at(path), str(local))

    def put(self, source: str, path: str, size: int, on_progress: Callable[[int], None]) -> None:
        """Upload a complete file.

        Args:
            source: A path on this machine.
            path: Its path relative to the destination.
            size: Its size in bytes.
            on_progress: Called with the number of bytes copied so far.
        """
        target = self._at(path)
        with self._os_errors(f"cannot write {path}"):
            if self._is_put_atomic or not self._can_rename:
                if not self._is_put_atomic:
                    self._make_folder(target)
                self._send(source, target, on_progress)
            else:
                self._make_folder(target)
                self._put_and_rename(source, target, size, on_progress)
        on_progress(size)

    def put_bytes(self, content: bytes, path: str) -> None:
        """Upload a file from memory; see `put`."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            self.put(file.name, path, len(content), lambda _: None)

    def remove(self, path: str) -> None:
        """Remove a file."""
        with self._os_errors(f"cannot remove {path}"):
            self._files.rm_file(self._at(path))

    def remove_unfinished(self, folder: str, names: dict[str, int]) -> None:
        """Remove those of a folder's files that a killed sync left unfinished."""
        for name in names:
            if _UNFINISHED.fullmatch(name):
                self.remove(f"{folder}/{name}")

    def _open(self, url: str, options: dict[str, Any]) -> tuple[Any, str]:
        """Return the file system of a URL, and the path in it."""
        try:
            from fsspec.core import url_to_fs
        except ImportError:
            raise ImportError("syncing needs fsspec; install it with: pip install 'holter[sync]'") from None
        if _REMOTE_SHELL.match(url):
            raise ValueError(f"{self.url!r} is not a URL: use sftp://host/path, or ./{self.url} for a local folder")
        if url.startswith("ftp://"):
            options = {"block_size": _FTP_BLOCK, **options}
        try:
            # A new instance, because a cached one may hold a connection that was closed since.
            files, path = url_to_fs(url, skip_instance_cache=True, **options)
        except ImportError as error:
            raise ImportError(f"{self.url}: {self._describe(error)}") from None
        except ValueError as error:
            raise ValueError(f"{self.url}: {self._describe(error)}") from None
        except Exception as error:  # noqa: BLE001 - each backend raises its own types
            raise OSError(f"{self.url} cannot be opened: {self._describe(error)}") from None
        return files, str(path)

    def _at(self, path: str) -> str:
        return f"{self._base}/{path}"

    def _make_folder(self, target: str) -> None:
        self._files.makedirs(target.rpartition("/")[0], exist_ok=True)

    def _put_and_rename(self, source: str, target: str, size: int, on_progress: Callable[[int], None]) -> None:
        unfinished = f"{target}.{secrets.token_hex(8)}.holter-sync.tmp"
        try:
            self._send(source, unfinished, on_progress)
            self._check_size(unfinished, size)
            try:
                self._files.mv(unfinished, target)
            except Exception:
                # Some servers do not overwrite on rename.
                if not self._files.exists(target):
                    raise
                self._files.rm_file(target)
                self._files.mv(unfinished, target)
        except BaseException:
            with contextlib.suppress(Exception):
                self._files.rm_file(unfinished)
            raise

    def _check_size(self, target: str, size: int) -> None:
        self._files.invalidate_cache()
        arrived = self._files.info(target)["size"]
        if arrived != size:
            raise OSError(f"only {arrived} of {size} bytes arrived: check the free space at the destination")

    def _send(self, source: str, target: str, on_progress: Callable[[int], None]) -> None:
        from fsspec.callbacks import Callback

        if type(self._files).__name__ == "SFTPFileSystem":
            # Its put_file waits for a reply after every 32 KiB: 20 MB took 21 s on loopback, and 1.4 s with its put.
            self._files.put(source, target)
            return

        def report(size: int | None, value: int, **_: Any) -> None:
            del size
            on_progress(value)

        self._files.put_file(source, target, callback=Callback(hooks={"progress": report}))

    @contextlib.contextmanager
    def _os_errors(self, what: str) -> Iterator[None]:
        """Convert a file system's exceptions to OSError."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - each backend raises its own types
            raise OSError(f"{self.url}: {what}: {self._describe(error)}") from None

    def _describe(self, error: Exception) -> str:
        """Describe an error without Python's `[Errno 13]`, and without secrets."""
        strerror = error.strerror if isinstance(error, OSError) else None
        text = strerror[:1].lower() + strerror[1:] if strerror else str(error)
        return self._redaction.clean(text) or type(error).__name__


def _can_rename(files: Any) -> bool:
    """Whether a file system has its own rename; fsspec's default copies and deletes, which is not atomic."""
    from fsspec.spec import AbstractFileSystem

    return getattr(files.mv, "__func__", None) is not AbstractFileSystem.mv
