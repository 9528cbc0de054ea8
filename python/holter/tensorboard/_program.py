"""TensorBoard as a child process that reads from our data server and ends with this process.

The child is the TensorBoard of this Python environment. It stays in our process group, so that Ctrl-C and a closed
terminal reach both; every other end of this process, except SIGKILL, ends the child too.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from holter.tensorboard._server import data_server

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import FrameType

__all__ = ["RESERVED", "TensorBoardEndedError", "serve"]

RESERVED: Final = ("--bind_all", "--db", "--grpc_data_provider", "--host", "--logdir", "--logdir_spec", "--port")
"""TensorBoard flags that Holter sets. TensorBoard's parser also accepts abbreviations of them."""
_URL: Final = re.compile(r"^TensorBoard \S+ at (http\S+)")
_STOP_SECS: Final = 10.0


class TensorBoardEndedError(Exception):
    """TensorBoard exited before it was stopped.

    Attributes:
        status: Its exit status; negative for a signal.
        last_line: Its last line of output.
    """

    def __init__(self, status: int, last_line: str) -> None:
        super().__init__(f"TensorBoard ended with exit status {status}: {last_line}")
        self.status = status
        self.last_line = last_line


def serve(
    root: str | os.PathLike[str] = "runs",
    *,
    announce: Callable[[str], object],
    port: int | None = None,
    arguments: Sequence[str] = (),
    on_message: Callable[[str], object] | None = None,
    on_unreadable: Callable[[Path, str], object] | None = None,
) -> None:
    """Show the runs below a folder in TensorBoard until SIGINT, SIGTERM or SIGHUP. Call this from the main thread.

    Args:
        root: A folder of runs, or one run. It may appear later.
        announce: Called with the URL of the page once it is available.
        port: The port; if None, TensorBoard chooses 6006 or the next free one.
        arguments: Additional arguments for TensorBoard.
        on_message: Called with each line of TensorBoard's output.
        on_unreadable: Called with the path of a run that cannot be read and the reason, once for each pair, from any
            thread.

    Raises:
        ImportError: If the extra `tensorboard` is not installed.
        OSError: If the data server finds no free port, or the process cannot be started.
        TensorBoardEndedError: If TensorBoard exits early.
        ValueError: If `arguments` contains a flag that Holter sets.
    """
    for argument in arguments:
        if reserved := _reserved(argument):
            raise ValueError(f"Holter sets {reserved}: remove it from TensorBoard's arguments")
    with data_server(root, on_unreadable=on_unreadable) as address, _interrupt_on_signals():
        last_line = ""
        with _child(address, port, arguments) as child:
            assert child.stderr is not None  # noqa: S101  it is a pipe
            try:
                for line in child.stderr:
                    last_line = line.strip() or last_line
                    if found := _URL.match(line):
                        announce(found[1])
                    elif on_message is not None:
                        on_message(line.rstrip())
            except KeyboardInterrupt:
                return
            raise TensorBoardEndedError(child.wait(), last_line)


@contextmanager
def _child(address: str, port: int | None, arguments: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """Run TensorBoard until the block ends."""
    command = [
        # Without this, gRPC uses http_proxy even for connections to this machine.
        *("env", "no_grpc_proxy=127.0.0.1"),
        *(sys.executable, "-m", "tensorboard.main", *arguments, "--grpc_data_provider", address, "--host", "127.0.0.1"),
        *(() if port is None else ("--port", str(port))),
    ]
    with subprocess.Popen(  # noqa: S603  the arguments are the user's own
        command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, encoding="utf-8", errors="replace"
    ) as child:
        try:
            yield child
        finally:
            child.terminate()
            try:
                child.communicate(timeout=_STOP_SECS)  # drains stderr, on which the child would block
            except subprocess.TimeoutExpired:
                child.kill()


@contextmanager
def _interrupt_on_signals() -> Iterator[None]:
    """Make SIGTERM and SIGHUP raise KeyboardInterrupt, like Ctrl-C."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _reserved(argument: str) -> str:
    """Return the reserved flag that an argument sets, possibly abbreviated; "" if it sets none."""
    flag = argument.partition("=")[0]
    return next((reserved for reserved in RESERVED if len(flag) > 2 and reserved.startswith(flag)), "")
