"""TensorBoard as a child process: started against our data server, ended with us, its messages passed on.

The child is the TensorBoard of this Python. It stays in our process group, so that Ctrl-C and the end of the terminal
reach both; whatever else ends us ends it too, but for SIGKILL.
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
"""TensorBoard's flags that are ours to set; also in their short forms, which its parser takes."""
_URL: Final = re.compile(r"^TensorBoard \S+ at (http\S+)")
_STOP_SECS: Final = 10.0


class TensorBoardEndedError(Exception):
    """TensorBoard ended by itself.

    Attributes:
        status: Its exit status; negative for a signal.
        last_words: The last line that it wrote.
    """

    def __init__(self, status: int, last_words: str) -> None:
        super().__init__(f"TensorBoard ended with exit status {status}: {last_words}")
        self.status = status
        self.last_words = last_words


def serve(
    root: str | os.PathLike[str] = "runs",
    *,
    announce: Callable[[str], object],
    port: int | None = None,
    arguments: Sequence[str] = (),
    on_message: Callable[[str], object] | None = None,
    on_unreadable: Callable[[Path, str], object] | None = None,
) -> None:
    """Show the runs below a folder in TensorBoard until SIGINT, SIGTERM or SIGHUP comes; only by the main thread.

    Args:
        root: A folder that holds runs, or one run. It need not be there yet.
        announce: Called with the address of the page once it answers.
        port: The port; if None, TensorBoard's own choice, which is 6006 or the next one that is free.
        arguments: Further arguments of TensorBoard's.
        on_message: Called with each line that TensorBoard writes.
        on_unreadable: Called once for each run that cannot be read and each reason, by any thread.

    Raises:
        ImportError: If the extra `tensorboard` is not installed.
        OSError: If there is no free port for the data server, or no process can be started.
        TensorBoardEndedError: If TensorBoard ended by itself.
        ValueError: If an argument is one of those that are ours to set.
    """
    for argument in arguments:
        if reserved := _reserved(argument):
            raise ValueError(f"{reserved} is set by Holter, so it must not be among TensorBoard's arguments")
    with data_server(root, on_unreadable=on_unreadable) as address, _signals_that_interrupt():
        last_words = ""
        with _child(address, port, arguments) as child:
            assert child.stderr is not None  # noqa: S101  it is a pipe
            try:
                for line in child.stderr:
                    last_words = line.strip() or last_words
                    if found := _URL.match(line):
                        announce(found[1])
                    elif on_message is not None:
                        on_message(line.rstrip())
            except KeyboardInterrupt:
                return
            raise TensorBoardEndedError(child.wait(), last_words)


@contextmanager
def _child(address: str, port: int | None, arguments: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """TensorBoard, which ends when the block does."""
    command = [
        # gRPC goes through http_proxy even to this machine, unless it is told not to.
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
                child.communicate(timeout=_STOP_SECS)  # reads what it still has to say, which would hold it up
            except subprocess.TimeoutExpired:
                child.kill()


@contextmanager
def _signals_that_interrupt() -> Iterator[None]:
    """Have SIGTERM and SIGHUP do what Ctrl-C does."""

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
    """The flag of ours that an argument would set; "" if it sets none."""
    flag = argument.partition("=")[0]
    return next((own for own in RESERVED if len(flag) > 2 and own.startswith(flag)), "")
