"""The data server: gRPC on this machine's loopback, on a port that the system picks.

The one file here that starts threads: gRPC hands each question to one of a few.
"""

from __future__ import annotations

from concurrent import futures
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from holter.tensorboard._folder import Folder

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["data_server"]

_NUM_THREADS: Final = 4
_STOP_SECS: Final = 1.0


@contextmanager
def data_server(
    root: str | os.PathLike[str] = "runs", *, on_unreadable: Callable[[Path, str], object] | None = None
) -> Iterator[str]:
    """Serve the runs below a folder to TensorBoard, as long as the `with` block lasts.

        with data_server("runs") as address:  # tensorboard --grpc_data_provider ADDRESS
            ...

    Only this machine can reach it; any program on it can, as with TensorBoard itself. Runs are only read.

    Args:
        root: A folder that holds runs, or one run. It need not be there yet.
        on_unreadable: Called once for each run that cannot be read and each reason, by any thread.

    Yields:
        Its address, such as `127.0.0.1:40123`.

    Raises:
        ImportError: If the extra `tensorboard` is not installed.
        OSError: If there is no free port.
    """
    try:
        import grpc
        from tensorboard.data.proto import data_provider_pb2_grpc as services

        from holter.tensorboard._provider import Provider
    except ImportError as error:
        raise ImportError(f"TensorBoard's page needs {_missing(error)}: pip install 'holter[tensorboard]'") from error
    server = grpc.server(
        futures.ThreadPoolExecutor(_NUM_THREADS, thread_name_prefix="holter-tensorboard"),
        # Otherwise two servers may share one port, and each would get half of the questions.
        options=[("grpc.so_reuseport", 0), ("grpc.max_send_message_length", -1)],
    )
    services.add_TensorBoardDataProviderServicer_to_server(Provider(Folder(root, on_unreadable)), server)
    try:
        port = server.add_insecure_port("127.0.0.1:0")
    except RuntimeError as error:
        raise OSError(f"there is no free port on 127.0.0.1: {error}") from error
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(_STOP_SECS).wait()


def _missing(error: ImportError) -> str:
    """The package to name: grpc's module is in the package grpcio."""
    name = (error.name or "tensorboard").partition(".")[0]
    return "grpcio" if name == "grpc" else name
