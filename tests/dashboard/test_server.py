"""The running server: port, address, raw requests over a socket, shutdown."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import holter
from dashboard_client import TIMEOUT_SECS, Stream, connect, get
from holter.dashboard import serve, start
from holter.dashboard._server import PORT
from waiting import wait_until


@pytest.fixture(scope="module")
def running(sample_root):
    with start(sample_root) as dashboard:
        yield dashboard


# --- Start ---


JSON = {"content-type": "application/json"}
PROGRAM = """
import json, sys
import holter.dashboard
from holter.dashboard import _server
_server._STOP_SECS = 30  # a graceful shutdown must succeed however busy the machine is
holter.dashboard.serve(sys.argv[1], port=int(sys.argv[2]) or None, announce=lambda url: print(json.dumps(
    {"url": url, "heavy": [name for name in ("pandas", "pyarrow", "plotly", "ruptures", "matplotlib", "torch")
                           if name in sys.modules]}), flush=True))
print("ended", flush=True)
"""


@pytest.fixture
def serve_in_child(sample_root):
    """Starts servers in child processes, and kills them after the test."""
    children = []

    def start_one(root=sample_root, port=0) -> tuple[subprocess.Popen, dict]:
        child = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(root), str(port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        children.append(child)
        return child, json.loads(child.stdout.readline() or "null")

    yield start_one
    for child in children:
        child.kill()
        child.communicate()


def test_server_imports_nothing_heavy_until_it_is_ready(serve_in_child):
    _, announced = serve_in_child()
    assert announced["heavy"] == []
    status, body = get(announced["url"], "/healthz")
    assert (status, json.loads(body)) == (200, {"status": "ok", "version": holter.__version__})


def test_port_in_use_raises(sample_root):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"port {port} on 127.0.0.1 is already in use; choose another port"):
            serve(sample_root, port=port)


def test_default_port_is_the_next_free_one(sample_root):
    with start(sample_root) as first, start(sample_root) as second:
        ports = [int(dashboard.url.rstrip("/").rpartition(":")[2]) for dashboard in (first, second)]
        assert ports[0] != ports[1]
        assert all(get(dashboard.url, "/healthz")[0] == 200 for dashboard in (first, second))
        assert min(ports) >= PORT


@pytest.mark.parametrize(
    ("host", "message"), [("no.such.host.invalid", "cannot resolve"), ("192.0.2.1", "cannot listen on")]
)
def test_host_of_another_machine_raises(sample_root, host, message):
    with pytest.raises(OSError, match=message):
        serve(sample_root, host=host, token="a-token-that-is-long-enough")


def test_public_server_generates_a_token_and_announces_it(sample_root):
    with start(sample_root, host="0.0.0.0", port=0) as dashboard:
        address, _, token = dashboard.url.partition("?token=")
        assert len(token) >= 32
        port = int(address.rstrip("/").rpartition(":")[2])
        local = f"http://127.0.0.1:{port}"
        assert get(local, "/api/v1/runs")[0] == 401
        assert get(local, "/api/v1/runs", authorization=f"Bearer {token}")[0] == 200
        assert get(local, f"/?token={token}")[0] == 303
        assert get(local, "/healthz", host=f"{socket.gethostname()}:{port}")[0] == 200
        assert get(local, "/healthz", host="evil.example")[0] == 421


def test_server_listens_on_loopback_only(running):
    host, _, port = running.url.removeprefix("http://").rstrip("/").rpartition(":")
    assert host == "127.0.0.1"
    others = {item[4][0] for item in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)} - {"127.0.0.1"}
    for address in others:
        with socket.socket() as probe:
            probe.settimeout(TIMEOUT_SECS)
            assert probe.connect_ex((address, int(port))) != 0 or address.startswith("127.")


@pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")
def test_ipv6_loopback_needs_no_token(sample_root):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("needs IPv6")
    with start(sample_root, host="::1", port=0) as dashboard:
        assert dashboard.url.startswith("http://[::1]:")
        port = dashboard.url.rstrip("/").rpartition(":")[2]
        connection = http.client.HTTPConnection("::1", int(port), timeout=TIMEOUT_SECS)
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200
        connection.close()


# --- Raw requests ---


@pytest.mark.parametrize(
    "path",
    [
        "/static/../_app.py",
        "/static/%2e%2e/_app.py",
        "/static/%2e%2e%2f_app.py",
        "/static/%252e%252e%252f_app.py",
        "/static/..%5c_app.py",
        "/static/..\\_app.py",
        "/static/....//_app.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/C:%5cwindows%5cwin.ini",
        "/static/",
        "/static/index.html%00.js",
        "/static/.",
        "/static/..",
        "/static/~root",
        "/../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/etc/passwd",
        "/api/v1/../../static/index.html",
    ],
)
def test_no_path_reaches_a_file_on_disk(running, path):
    status, body = get(running.url, path)
    assert status == 404
    assert set(json.loads(body)) == {"error"}
    for word in (b"root:", b"import", b"<html"):
        assert word not in body


def test_missing_or_repeated_host_is_rejected(running):
    port = int(running.url.rstrip("/").rpartition(":")[2])
    for hosts in (b"", b"Host: 127.0.0.1\r\nHost: evil.example\r\n"):
        with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECS) as connection:
            connection.sendall(b"GET /api/v1/runs HTTP/1.0\r\n" + hosts + b"\r\n")
            assert connection.recv(4096).split()[1] in (b"421", b"400")


def test_event_loop_is_free_while_figures_are_drawn(sample_root, monkeypatch):
    released = threading.Event()
    started = threading.Event()

    def blocked_render(figures, request):
        started.set()
        assert released.wait(TIMEOUT_SECS)
        return b'{"figures":[]}'

    def post(_):
        connection = connect(dashboard.url)
        connection.request("POST", "/api/v1/figures", b'{"charts": []}', JSON)
        status = connection.getresponse().status
        connection.close()
        return status

    monkeypatch.setattr("holter.dashboard.api._figures.Figures.render", blocked_render)
    with start(sample_root) as dashboard, ThreadPoolExecutor(12) as pool:
        statuses = pool.map(post, range(12))
        try:
            assert started.wait(TIMEOUT_SECS)
            assert get(dashboard.url, "/healthz")[0] == 200
            assert get(dashboard.url, "/api/v1/openapi.json")[0] == 200
        finally:
            released.set()
        assert list(statuses) == [200] * 12


def test_figures_of_disconnected_clients_are_not_drawn(sample_root, monkeypatch):
    released = threading.Event()
    drawn = []

    def blocked_render(figures, request):
        drawn.append(request.charts[0].key)
        assert released.wait(TIMEOUT_SECS)
        return b'{"figures":[]}'

    monkeypatch.setattr("holter.dashboard.api._figures.Figures.render", blocked_render)
    with start(sample_root) as dashboard:
        connections = []
        for number in range(8):
            chart = {"key": str(number), "kind": "line", "names": [], "groups": []}
            connections.append(connect(dashboard.url))
            connections[-1].request("POST", "/api/v1/figures", json.dumps({"charts": [chart]}), JSON)
            if number < 4:
                wait_until(lambda: len(drawn) == number + 1, TIMEOUT_SECS)  # noqa: B023  called within the iteration
        for connection in connections[4:7]:
            connection.close()
        assert get(dashboard.url, "/healthz")[0] == 200, "the server has processed everything sent before"
        released.set()
        waiting = (*connections[:4], connections[7])
        assert [connection.getresponse().status for connection in waiting] == [200] * 5
        assert sorted(drawn) == ["0", "1", "2", "3", "7"]
        for connection in connections:
            connection.close()


# --- Shutdown ---


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_the_server_despite_open_streams(serve_in_child, sign):
    child, announced = serve_in_child()
    stream = Stream(announced["url"], ["run-1"])
    stream.next()
    idle = connect(announced["url"])
    idle.request("GET", "/healthz")
    idle.getresponse().read()  # leaves the connection open
    child.send_signal(sign)
    stream.wait_for_end()
    out, err = child.communicate(timeout=TIMEOUT_SECS)
    assert err == "", "the shutdown was graceful"
    assert (child.returncode, out) == ((0, "ended\n") if sign == signal.SIGINT else (-signal.SIGTERM, ""))
    stream.close()
    idle.close()


def test_stop_is_idempotent(sample_root):
    dashboard = start(sample_root)
    assert repr(dashboard) == f"<Dashboard of {str(sample_root)!r} at {dashboard.url}>"
    dashboard.stop()
    dashboard.stop()
    with pytest.raises(ConnectionError):
        get(dashboard.url, "/healthz")


def test_open_browser_opens_the_announced_address(sample_root, monkeypatch):
    opened = []
    announced = []
    monkeypatch.setattr("webbrowser.open", opened.append)

    def announce(url):
        announced.append(url)
        threading.Thread(
            target=lambda: (wait_until(lambda: opened, TIMEOUT_SECS), os.kill(os.getpid(), signal.SIGINT))
        ).start()

    serve(sample_root, open_browser=True, announce=announce)
    assert opened == announced
