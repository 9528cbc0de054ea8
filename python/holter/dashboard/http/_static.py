"""The page's own files and plotly.js, from memory: no text of a client is ever a path.

plotly.js is the one that the `plotly` wheel ships, found without importing plotly and without a network.
"""

import gzip
import hashlib
import importlib.resources
import threading
from dataclasses import dataclass, field
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import Response

from holter._plotly import plotly_file
from holter.dashboard.http._errors import Refused

__all__ = ["PLOTLY", "StaticFiles"]

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
PLOTLY = "plotly.min.js"
_MIN_GZIP_BYTES = 1024


@dataclass(slots=True)
class _File:
    content: bytes
    media_type: str
    _etag: str = ""
    _zipped: bytes = b""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def etag(self) -> str:
        if not self._etag:
            self._etag = f'"{hashlib.sha256(self.content).hexdigest()[:32]}"'
        return self._etag

    def zipped(self) -> bytes:
        """The content compressed, which is done once: 0.1 s for plotly.js, for a third of its 5 MB."""
        with self._lock:
            if not self._zipped:
                self._zipped = gzip.compress(self.content, 3, mtime=0)
            return self._zipped


class StaticFiles:
    """The files of the page, by name. May be used by several threads at once.

    Raises:
        ImportError: If plotly is not installed.
    """

    def __init__(self) -> None:
        folder = importlib.resources.files("holter.dashboard") / "static"
        self._files: dict[str, _File] = {}
        for item in folder.iterdir():
            media_type = _TYPES.get(Path(item.name).suffix)
            if item.is_file() and media_type is not None:
                self._files[item.name] = _File(item.read_bytes(), media_type)
        self._files[PLOTLY] = _File(plotly_file().read_bytes(), _TYPES[".js"])

    @property
    def names(self) -> list[str]:
        """The names that there are."""
        return sorted(self._files)

    def respond(self, name: str, headers: Headers) -> Response:
        """Return the response for a file; 304 if the client has it already.

        Raises:
            Refused: 404 if there is no such file.
        """
        file = self._file(name)
        known = {"etag": file.etag, "cache-control": "no-cache", "vary": "accept-encoding"}
        if file.etag in [tag.strip().removeprefix("W/") for tag in headers.get("if-none-match", "").split(",")]:
            return Response(status_code=304, headers=known)
        takes_gzip = "gzip" in [coding.partition(";")[0].strip() for coding in _codings(headers)]
        if takes_gzip and len(file.content) >= _MIN_GZIP_BYTES and not file.media_type.startswith("image/png"):
            return Response(file.zipped(), headers={**known, "content-encoding": "gzip"}, media_type=file.media_type)
        return Response(file.content, headers=known, media_type=file.media_type)

    def _file(self, name: str) -> _File:
        file = self._files.get(name)
        if file is None:
            raise Refused(404, f"there is no file {name[:200]!r}")
        return file


def _codings(headers: Headers) -> list[str]:
    return headers.get("accept-encoding", "").split(",")
