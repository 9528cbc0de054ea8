"""A folder of copies at any URL that fsspec knows: whole files are put there, listed, fetched and removed.

A file appears under its name only when it is complete. An object store puts a file as a whole or not at all. Elsewhere
it is written under a temporary name, its size is compared, and it is renamed. Where there is neither, as with
`memory://`, it is written in place. Whatever goes wrong is an OSError whose message holds no password.
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

_PUT_IS_WHOLE = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss"})
_UNFINISHED = re.compile(r".+\.[0-9a-f]{16}\.holter-sync\.tmp", re.DOTALL)
_LOCAL = frozenset({"file", "local"})
_FTP_BLOCK = 4 << 20
"""fsspec opens a connection for each block that it sends by FTP, and its own default is 64 KiB."""
_REMOTE_SHELL = re.compile(r"(?!.*://)[\w.@-]{2,}:")


class Destination:
    """A folder that copies of runs go into. It need not be there yet, but a bucket does.

    Args:
        url: Any URL of fsspec's: `s3://bucket/runs`, `sftp://host/path`, `ftp://user:password@host/path`,
            `file:///path`. A path alone is a local folder.
        **options: What fsspec's file system of the URL takes, such as `endpoint_url` or `key`. What is not given here
            is taken from the environment and the files that fsspec and the library of the remote read.

    Raises:
        ImportError: fsspec, or what it needs for this kind of URL, is not installed.
        OSError: The remote cannot be reached, or lets nobody in.
        ValueError: It is no URL that fsspec knows.
    """

    def __init__(self, url: str, **options: Any) -> None:
        self._redaction = Redaction(url, options)
        self._files, path = self._opened(url, options)
        protocols = {self._files.protocol} if isinstance(self._files.protocol, str) else set(self._files.protocol)
        self._is_local = bool(protocols & _LOCAL)
        self._is_put_whole = bool(protocols & _PUT_IS_WHOLE)
        self._can_rename = _can_rename(self._files)
        self._base = path.rstrip("/")
        if self._is_put_whole and not self._base:
            raise ValueError(f"{self.url} names no bucket")

    @property
    def url(self) -> str:
        """The URL without its password, and without what may be a signature."""
        return self._redaction.url

    def local_path(self, folder: str) -> Path | None:
        """Return where a folder is on this machine; None if the destination is elsewhere."""
        return Path(self._at(folder)) if self._is_local else None

    def list(self, folder: str) -> dict[str, int]:
        """Return the sizes of the files in a folder by their names; nothing if there is no such folder."""
        with self._telling(f"cannot list {folder}"):
            self._files.invalidate_cache()
            try:
                found = self._files.ls(self._at(folder), detail=True)
            except FileNotFoundError:
                return {}
        files = (one for one in found if one.get("type") == "file")
        return {str(one["name"]).rpartition("/")[2]: int(one["size"] or 0) for one in files}

    def read(self, path: str) -> bytes:
        """Return the content of a small file."""
        with self._telling(f"cannot read {path}"):
            return bytes(self._files.cat_file(self._at(path)))

    def fetch(self, path: str, local: Path) -> None:
        """Copy a file to a path on this machine."""
        with self._telling(f"cannot read {path}"):
            self._files.get_file(self._at(path), str(local))

    def put(self, source: str, path: str, size: int, progress: Callable[[int], None]) -> None:
        """Copy a file there as a whole.

        Args:
            source: A path on this machine.
            path: Its name below the destination.
            size: How large it is.
            progress: Is told how many bytes have been copied.
        """
        target = self._at(path)
        with self._telling(f"cannot write {path}"):
            if self._is_put_whole or not self._can_rename:
                if not self._is_put_whole:
                    self._make_folder(target)
                self._send(source, target, progress)
            else:
                self._make_folder(target)
                self._put_and_rename(source, target, size, progress)
        progress(size)

    def put_bytes(self, content: bytes, path: str) -> None:
        """As `put`, of what is in memory."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            self.put(file.name, path, len(content), lambda _: None)

    def remove(self, path: str) -> None:
        """Remove a file."""
        with self._telling(f"cannot remove {path}"):
            self._files.rm_file(self._at(path))

    def remove_unfinished(self, folder: str, names: dict[str, int]) -> None:
        """Remove of these files of a folder those that a sync which was killed has left unfinished."""
        for name in names:
            if _UNFINISHED.fullmatch(name):
                self.remove(f"{folder}/{name}")

    def _opened(self, url: str, options: dict[str, Any]) -> tuple[Any, str]:
        """The file system of a URL, and the path in it."""
        try:
            from fsspec.core import url_to_fs
        except ImportError:
            raise ImportError("copies are made by fsspec, which is not installed: pip install 'holter[sync]'") from None
        if _REMOTE_SHELL.match(url):
            raise ValueError(f"{self.url!r} is no URL: write sftp://host/path, or ./{self.url} for a folder so called")
        if url.startswith("ftp://"):
            options = {"block_size": _FTP_BLOCK, **options}
        try:
            # An instance of its own: that of an earlier pass may hold a connection that has died meanwhile.
            files, path = url_to_fs(url, skip_instance_cache=True, **options)
        except ImportError as error:
            raise ImportError(f"{self.url}: {self._words(error)}") from None
        except ValueError as error:
            raise ValueError(f"{self.url}: {self._words(error)}") from None
        except Exception as error:  # noqa: BLE001 - of as many kinds as there are libraries
            raise OSError(f"{self.url} cannot be opened: {self._words(error)}") from None
        return files, str(path)

    def _at(self, path: str) -> str:
        return f"{self._base}/{path}"

    def _make_folder(self, target: str) -> None:
        self._files.makedirs(target.rpartition("/")[0], exist_ok=True)

    def _put_and_rename(self, source: str, target: str, size: int, progress: Callable[[int], None]) -> None:
        unfinished = f"{target}.{secrets.token_hex(8)}.holter-sync.tmp"
        try:
            self._send(source, unfinished, progress)
            self._check_size(unfinished, size)
            try:
                self._files.mv(unfinished, target)
            except Exception:
                # Some servers rename nothing to a name that is taken.
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
            raise OSError(f"{arrived} of {size} bytes have arrived: is there no room?")

    def _send(self, source: str, target: str, progress: Callable[[int], None]) -> None:
        from fsspec.callbacks import Callback

        if type(self._files).__name__ == "SFTPFileSystem":
            # Its put_file waits for an answer to every 32 KiB: 20 MB took 21 s on loopback, and 1.4 s by its own put.
            self._files.put(source, target)
            return

        def told(size: int | None, value: int, **_: Any) -> None:
            del size
            progress(value)

        self._files.put_file(source, target, callback=Callback(hooks={"progress": told}))

    @contextlib.contextmanager
    def _telling(self, what: str) -> Iterator[None]:
        """Turn whatever a file system raises into an OSError."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - of as many kinds as there are libraries
            raise OSError(f"{self.url}: {what}: {self._words(error)}") from None

    def _words(self, error: Exception) -> str:
        """What went wrong, without Python's `[Errno 13]`."""
        strerror = error.strerror if isinstance(error, OSError) else None
        text = strerror[:1].lower() + strerror[1:] if strerror else str(error)
        return self._redaction.clean(text) or type(error).__name__


def _can_rename(files: Any) -> bool:
    """Whether a file system has a way of its own; fsspec's is a copy and a removal, which is not done at once."""
    from fsspec.spec import AbstractFileSystem

    return getattr(files.mv, "__func__", None) is not AbstractFileSystem.mv
