"""`holter tensorboard`: the user's TensorBoard beside ours, both ended together, and every refusal says why."""

import re
import signal
import socket
import sys
import urllib.request

import pytest

from waiting import wait_until

pytest.importorskip("tensorboard", reason="tensorboard is not installed")
pytest.importorskip("grpc", reason="grpcio is not installed")

DEADLINE_SECS = 120.0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_both_end_together(serve, tmp_path, number):
    """The signal reaches the command alone, as that of a `kill` does."""
    serving = serve(tmp_path / "later", "--port", 0)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(serving.url, timeout=60) as page:
        assert b"TensorBoard" in page.read()
    assert serving.has_child()
    status, said = serving.end(number)
    assert status == 0, said
    assert f"folder '{tmp_path / 'later'}' does not exist yet" in said
    assert "Traceback" not in said
    assert not serving.has_child()


def test_a_tensorboard_that_ends_by_itself_is_told(serve, tmp_path):
    serving = serve(tmp_path, "--port", 0)
    import os

    os.kill(serving.child, signal.SIGKILL)
    said = serving.process.communicate(timeout=DEADLINE_SECS)[1]
    assert serving.process.returncode == 1
    assert said.endswith("Error: TensorBoard exited with status -9\n")


def test_a_port_that_is_in_use_is_told(start, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start(tmp_path, "--port", port)
        url, said = process.communicate(timeout=DEADLINE_SECS)
    assert (process.returncode, url) == (1, "")
    assert f"could not bind to port {port}" in said
    assert said.endswith("omit --port to use a free one\n")


def test_arguments_are_passed_on(start, tmp_path):
    process = start("--", "--no_such_flag")
    _, said = process.communicate(timeout=DEADLINE_SECS)
    assert process.returncode == 1
    assert "unrecognized arguments: --no_such_flag" in said
    assert said.endswith("Error: TensorBoard exited with status 2\n")


def test_the_start_is_announced_on_a_terminal(tmp_path):
    import os
    import pty
    import subprocess

    master, slave = pty.openpty()
    command = [sys.executable, "-m", "holter.cli", "tensorboard", str(tmp_path), "--port", "0"]
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True) as process:
        os.close(slave)
        seen = []
        try:

            def is_announced():
                seen.append(os.read(master, 4096).decode())
                return re.search(
                    r"http://127\.0\.0\.1:\d+/\s+TensorBoard on the runs of .*Press Ctrl-C to stop", text()
                )

            def text():
                return "".join(seen)

            wait_until(is_announced, DEADLINE_SECS)
        finally:
            os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it: to both
            assert process.wait(DEADLINE_SECS) == 0
            os.close(master)
