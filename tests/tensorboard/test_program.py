"""`holter tensorboard`: TensorBoard runs as a child process, both end together, and errors are reported."""

import os
import pty
import re
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from waiting import wait_until

pytest.importorskip("tensorboard", reason="tensorboard is not installed")
pytest.importorskip("grpc", reason="grpcio is not installed")

DEADLINE_SECS = 120.0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_command_and_tensorboard(serve, tmp_path, number):
    """The signal reaches only the command, as with `kill`."""
    serving = serve(tmp_path / "later", "--port", 0)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(serving.url, timeout=60) as page:
        assert b"TensorBoard" in page.read()
    assert serving.has_child()
    status, errors = serving.end(number)
    assert status == 0, errors
    assert f"folder '{tmp_path / 'later'}' does not exist yet" in errors
    assert "Traceback" not in errors
    assert not serving.has_child()


def test_exit_of_tensorboard_is_reported(serve, tmp_path):
    serving = serve(tmp_path, "--port", 0)
    os.kill(serving.child, signal.SIGKILL)
    errors = serving.process.communicate(timeout=DEADLINE_SECS)[1]
    assert serving.process.returncode == 1
    assert errors.endswith("Error: TensorBoard exited with status -9\n")


def test_port_in_use_is_reported(start, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start(tmp_path, "--port", port)
        url, errors = process.communicate(timeout=DEADLINE_SECS)
    assert (process.returncode, url) == (1, "")
    assert f"could not bind to port {port}" in errors
    assert "--port" in errors.splitlines()[-1], "with a hint"


def test_arguments_are_passed_to_tensorboard(start, tmp_path):
    process = start("--", "--no_such_flag")
    _, errors = process.communicate(timeout=DEADLINE_SECS)
    assert process.returncode == 1
    assert "unrecognized arguments: --no_such_flag" in errors
    assert "status 2" in errors.splitlines()[-1]


def test_terminal_shows_the_url_and_how_to_stop(tmp_path):
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "holter.cli", "tensorboard", str(tmp_path), "--port", "0"]
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True) as process:
        os.close(slave)
        chunks = []
        try:

            def is_announced():
                chunks.append(os.read(master, 4096).decode())
                return re.search(r"http://127\.0\.0\.1:\d+/\s+.*TensorBoard.*Ctrl-C", "".join(chunks))

            wait_until(is_announced, DEADLINE_SECS)
        finally:
            os.killpg(process.pid, signal.SIGINT)  # like a terminal, to both
            assert process.wait(DEADLINE_SECS) == 0
            os.close(master)
