"""Webhook failures: retries, timeouts, refused connections, and servers that do not speak HTTP."""

import math
import socket
import subprocess
import sys
import threading
import time
import warnings

import pytest

import holter
from holter.alerts import _sender
from waiting import wait_until
from webhook_server import RULES, SECRET, hook, record, sender_threads, webhook_server


@pytest.mark.usefixtures("fast_retries")
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_temporary_failure_is_retried(run_dir, server, status):
    server.answers = [status, status, 204]
    with holter.Logger(run_dir, alerts=RULES, webhook=hook(server.url)) as logger:
        logger.log(7, "loss", math.nan)
        wait_until(lambda: logger.webhook.sent == 1, secs=60)
    assert len(server.requests) == 3
    assert logger.webhook.dropped == 0
    assert f"HTTP status {status}" in logger.webhook.last_error


@pytest.mark.usefixtures("fast_retries")
def test_permanent_failure_stops_the_retries_and_warns_once(run_dir):
    with webhook_server(500) as server, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with holter.Logger(run_dir, alerts=RULES, webhook=hook(server.url)) as logger:
            for number in (1, 2):
                logger.log(0, f"loss_{number}", math.nan)
                wait_until(lambda number=number: logger.webhook.dropped == number, secs=60)
    assert len(server.requests) == 2 * _sender.MAX_ATTEMPTS
    assert server.messages[-1]["dropped"] == 1
    assert [warning.category for warning in caught] == [holter.HolterWarning]
    assert "counted in logger.webhook.dropped" in str(caught[0].message)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 400, 401, 404, 410])
@pytest.mark.filterwarnings("ignore::holter.HolterWarning")
def test_client_errors_are_not_retried_and_redirects_are_not_followed(run_dir, status):
    with webhook_server() as elsewhere, webhook_server(status) as server:
        server.headers["Location"] = elsewhere.url
        delivery = record(run_dir, hook(server.url))
        assert delivery.dropped == 1
        assert f"HTTP status {status}" in delivery.last_error
        assert len(server.requests) == 1
        assert not elsewhere.requests


@pytest.mark.filterwarnings("ignore::holter.HolterWarning")
def test_silent_server_delays_neither_training_nor_close(run_dir, server, monkeypatch):
    monkeypatch.setattr(_sender, "CLOSE_SECS", 1.0)
    server.answers = ["hold"]
    logger = holter.Logger(run_dir, alerts=RULES, webhook=hook(server.url, timeout_secs=60))
    logger.log(0, "loss", math.nan)
    wait_until(lambda: server.requests, secs=60)
    for step in range(1, 200_000):
        logger.log(step, "loss", 0.5)
    logger.flush(60)
    start = time.monotonic()
    logger.close()
    assert 1 <= time.monotonic() - start < 40
    assert logger.health.dropped == 0
    assert logger.webhook.waiting == 1
    assert len(holter.open_run(run_dir).series("loss")) == 200_000
    server.released.set()
    wait_until(lambda: not sender_threads(), secs=60)


@pytest.mark.usefixtures("fast_retries")
@pytest.mark.filterwarnings("ignore::holter.HolterWarning")
@pytest.mark.parametrize("answer", ["hold", "drip"])
def test_timeout_applies_to_the_whole_response(run_dir, server, answer):
    """Catches a timeout for each byte, which a server that sends one now and then never exceeds."""
    server.answers = [answer, 200]
    with holter.Logger(run_dir, alerts=RULES, webhook=hook(server.url, timeout_secs=1)) as logger:
        logger.log(0, "loss", math.nan)
        wait_until(lambda: logger.webhook.sent == 1, secs=60)
        assert "timed out" in logger.webhook.last_error


@pytest.mark.usefixtures("fast_retries")
def test_refused_connection_is_reported(run_dir):
    with socket.socket() as bound:  # not listening, so the port stays reserved and rejects connections
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        with pytest.warns(holter.HolterWarning, match="could not be delivered"):
            delivery = record(run_dir, hook(f"http://127.0.0.1:{port}/{SECRET}"))
    assert delivery.dropped == 1
    assert delivery.last_error == f"http://127.0.0.1:{port}/...: Connection refused"
    assert len(holter.open_run(run_dir).events) == 1


KILLED_SERVER = """
import socket, sys
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
connection, _ = listener.accept()
print(connection.recv(1), flush=True)
connection.recv(1 << 20)
sys.stdin.read()
"""


@pytest.mark.usefixtures("fast_retries")
def test_server_killed_during_a_request(run_dir):
    command = [sys.executable, "-c", KILLED_SERVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        port = int(child.stdout.readline())
        logger = holter.Logger(run_dir, alerts=RULES, webhook=hook(f"http://127.0.0.1:{port}/{SECRET}"))
        logger.log(0, "loss", math.nan)
        assert child.stdout.readline() == b"b'P'\n"
        child.kill()
        with pytest.warns(holter.HolterWarning, match="could not be delivered"):
            wait_until(lambda: logger.webhook.dropped == 1, secs=60)
        logger.close()
    assert "refused" in logger.webhook.last_error


@pytest.mark.usefixtures("fast_retries")
@pytest.mark.parametrize("answer", [b"", b"what?\r\n\r\n", b"HTTP/1.1 " + b"2" * 100_000, b"\x00\xff" * 1000])
@pytest.mark.filterwarnings("ignore::holter.HolterWarning")
def test_invalid_http_response_is_reported(run_dir, answer):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _ in range(_sender.MAX_ATTEMPTS):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(1 << 20)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        delivery = record(run_dir, hook(f"http://127.0.0.1:{listener.getsockname()[1]}/{SECRET}"))
        thread.join(60)
    assert delivery.dropped == 1
    assert SECRET not in delivery.last_error
