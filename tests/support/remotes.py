"""Local remotes for copies: an S3-compatible server, an FTP server, OpenSSH and a plain folder.

Each stores its files in a folder, so that a test can inspect and damage them.
"""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from waiting import wait_until

KINDS = ("file", "s3", "ftp")
SSHD = shutil.which("sshd", path="/usr/sbin:/usr/bin")
USER, PASSWORD = "me", "s3cret/@:word"


@dataclass(frozen=True)
class Remote:
    """A destination for copies.

    Attributes:
        url: The URL of the folder of copies.
        folder: The local folder that stores the files.
        options: Further arguments of `Destination`.
        environment: The same as environment variables, for another process.
    """

    url: str
    folder: Path
    options: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def serving(kind: str, root: Path, port: int = 0) -> Iterator[Remote]:
    """Yield a remote of one of `KINDS` that stores its files below `root`; FTP can use a given port."""
    if kind == "file":
        yield Remote(f"file://{root}/copies", root / "copies")
    elif kind == "s3":
        with _s3(root) as bound:
            endpoint = f"http://127.0.0.1:{bound}"
            options = {"key": "key", "secret": "secret", "endpoint_url": endpoint}
            environment = {f"FSSPEC_S3_{name.upper()}": value for name, value in options.items()}
            yield Remote("s3://bucket/copies", root / "bucket/copies", options, environment)
    else:
        with _ftp(root, port, rename_replaces=True) as bound:
            environment = {"FSSPEC_FTP_PASSWORD": PASSWORD}
            yield Remote(f"ftp://{USER}@127.0.0.1:{bound}/copies", root / "copies", {"password": PASSWORD}, environment)


@contextlib.contextmanager
def serving_old_ftp(root: Path) -> Iterator[Remote]:
    """Yield an FTP server that does not replace files on rename, as some servers do."""
    with _ftp(root, 0, rename_replaces=False) as port:
        yield Remote(f"ftp://{USER}@127.0.0.1:{port}/copies", root / "copies", {"password": PASSWORD})


@contextlib.contextmanager
def serving_sftp(root: Path) -> Iterator[Remote]:
    """Yield an SFTP server (OpenSSH)."""
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", root / name], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (root / "config").write_text(f"""
        Port {port}
        ListenAddress 127.0.0.1
        HostKey {root}/host
        AuthorizedKeysFile {root}/user.pub
        StrictModes no
        Subsystem sftp internal-sftp
        PidFile none
    """)
    with subprocess.Popen([SSHD, "-D", "-e", "-f", root / "config"], stderr=subprocess.DEVNULL) as server:
        try:
            wait_until(lambda: _accepts(port), secs=10)
            options = {"key_filename": f"{root}/user", "look_for_keys": False, "allow_agent": False}
            user = pwd.getpwuid(os.getuid()).pw_name
            yield Remote(f"sftp://{user}@127.0.0.1:{port}{root}/copies", root / "copies", options)
        finally:
            server.terminate()


def _accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextlib.contextmanager
def _s3(root: Path) -> Iterator[int]:
    import localbucket

    (root / "bucket").mkdir(parents=True, exist_ok=True)
    handler = type("Handler", (localbucket.S3Handler,), {"data_root": root.resolve()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def _ftp(root: Path, port: int, *, rename_replaces: bool) -> Iterator[int]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # asyncore, before Python 3.12 of the standard library
        from pyftpdlib.authorizers import DummyAuthorizer
        from pyftpdlib.filesystems import AbstractedFS, FilesystemError
        from pyftpdlib.handlers import FTPHandler
        from pyftpdlib.servers import FTPServer

    class Files(AbstractedFS):
        def rename(self, src: str, dst: str) -> None:
            if Path(dst).exists() and not rename_replaces:
                raise FilesystemError("the file exists")
            super().rename(src, dst)

    root.mkdir(parents=True, exist_ok=True)
    authorizer = DummyAuthorizer()
    authorizer.add_user(USER, PASSWORD, str(root), perm="elradfmw")
    handler = type(
        "Handler", (FTPHandler,), {"authorizer": authorizer, "abstracted_fs": Files, "auth_failed_timeout": 0}
    )
    server = FTPServer(("127.0.0.1", port), handler)
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            server.ioloop.loop(timeout=0.05, blocking=False)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server.address[1]
    finally:
        stop.set()
        thread.join()
        server.close_all()
