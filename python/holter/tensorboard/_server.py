"""The data server: gRPC on the loopback interface, on a free port.

This is the only file in the package that starts threads: gRPC handles requests in a small pool.
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
    """Serve the runs below a folder to TensorBoard until the `with` block ends.

        with data_server("runs") as address:  # tensorboard --grpc_data_provider ADDRESS
            ...

    Any program on this machine can connect, as with TensorBoard itself, but no other machine. Runs are never changed.

    Args:
        root: A folder of runs, or one run. It may appear later.
        on_unreadable: Called with the path of a run that cannot be read and the reason, once for each pair, from any
            thread.

    Yields:
        The server's address, such as `127.0.0.1:40123`.

    Raises:
        ImportError: If the extra `tensorboard` is not installed.
        OSError: If there is no free port.
    """
    try:
        import grpc
        from tensorboard.data.proto import data_provider_pb2_grpc as services

        from holter.tensorboard._provider import Provider
    except ImportError as error:
        raise ImportError(
            f"serving TensorBoard needs {_missing(error)}; install it with: pip install 'holter[tensorboard]'"
        ) from error
    server = grpc.server(
        futures.ThreadPoolExecutor(_NUM_THREADS, thread_name_prefix="holter-tensorboard"),
        # Otherwise two servers can share a port, and each gets half of the requests.
        options=[("grpc.so_reuseport", 0), ("grpc.max_send_message_length", -1)],
    )
    services.add_TensorBoardDataProviderServicer_to_server(Provider(Folder(root, on_unreadable)), server)
    try:
        port = server.add_insecure_port("127.0.0.1:0")
    except RuntimeError as error:
        raise OSError(f"no free port on 127.0.0.1: {error}") from error
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(_STOP_SECS).wait()


def _missing(error: ImportError) -> str:
    """Return the name of the missing package; the module grpc is in grpcio."""
    name = (error.name or "tensorboard").partition(".")[0]
    return "grpcio" if name == "grpc" else name
