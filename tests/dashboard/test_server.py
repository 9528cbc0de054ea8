"""The server as it runs: its port, its address, its end, live events, and raw requests over a socket."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

import holter
from dashboard_client import SECS, Stream, connect, get
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
import sys, json, holter.dashboard
before = set(sys.modules)
holter.dashboard.serve(sys.argv[1], port=int(sys.argv[2]) or None, announce=lambda url: print(json.dumps(
    {"url": url, "heavy": [name for name in ("pandas", "pyarrow", "plotly", "ruptures", "matplotlib", "torch")
                           if name in sys.modules]}), flush=True))
print("ended", flush=True)
"""


@pytest.fixture
def serving(sample_root):
    """Starts servers as programs of their own; they are ended with the test."""
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


def test_a_server_answers_at_once_and_loads_nothing_heavy(serving):
    _, said = serving()
    assert said["heavy"] == []
    status, body = get(said["url"], "/healthz")
    assert (status, json.loads(body)) == (200, {"status": "ok", "version": holter.__version__})


def test_a_port_in_use_is_said(sample_root):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"port {port} of 127.0.0.1 is in use; choose another one"):
            serve(sample_root, port=port)


def test_without_a_port_the_next_free_one_is_taken(sample_root):
    with start(sample_root) as first, start(sample_root) as second:
        ports = [int(dashboard.url.rstrip("/").rpartition(":")[2]) for dashboard in (first, second)]
        assert ports[0] != ports[1]
        assert all(get(dashboard.url, "/healthz")[0] == 200 for dashboard in (first, second))
        assert min(ports) >= PORT


@pytest.mark.parametrize(("host", "words"), [("no.such.host.invalid", "no address"), ("192.0.2.1", "cannot listen on")])
def test_a_host_that_is_not_this_machine_is_said(sample_root, host, words):
    with pytest.raises(OSError, match=words):
        serve(sample_root, host=host, token="a-token-that-is-long-enough")


def test_a_server_for_other_machines_makes_a_token_and_tells_it_in_the_address(sample_root):
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


def test_the_server_listens_on_this_machine_alone(running):
    host, _, port = running.url.removeprefix("http://").rstrip("/").rpartition(":")
    assert host == "127.0.0.1"
    others = {item[4][0] for item in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)} - {"127.0.0.1"}
    for address in others:
        with socket.socket() as probe:
            probe.settimeout(SECS)
            assert probe.connect_ex((address, int(port))) != 0 or address.startswith("127.")


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_the_other_loopback_is_one_too(sample_root):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    with start(sample_root, host="::1", port=0) as dashboard:
        assert dashboard.url.startswith("http://[::1]:")
        port = dashboard.url.rstrip("/").rpartition(":")[2]
        connection = http.client.HTTPConnection("::1", int(port), timeout=SECS)
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
def test_no_path_leads_to_a_file_of_the_disk(running, path):
    status, body = get(running.url, path)
    assert status == 404
    assert set(json.loads(body)) == {"error"}
    for word in (b"root:", b"import", b"<html"):
        assert word not in body


def test_a_host_twice_or_not_at_all_is_refused(running):
    port = int(running.url.rstrip("/").rpartition(":")[2])
    for hosts in (b"", b"Host: 127.0.0.1\r\nHost: evil.example\r\n"):
        with socket.create_connection(("127.0.0.1", port), timeout=SECS) as connection:
            connection.sendall(b"GET /api/v1/runs HTTP/1.0\r\n" + hosts + b"\r\n")
            assert connection.recv(4096).split()[1] in (b"421", b"400")


def test_the_event_loop_is_free_while_figures_are_made(sample_root, monkeypatch):
    released = threading.Event()
    begun = threading.Semaphore(0)

    def slow(figures, spec):
        begun.release()
        assert released.wait(SECS)
        return b'{"figures":[]}'

    monkeypatch.setattr("holter.dashboard.api._figures.Figures.render", slow)
    with start(sample_root) as dashboard:
        statuses = []

        def ask():
            connection = connect(dashboard.url)
            connection.request("POST", "/api/v1/figures", b'{"charts": []}', JSON)
            statuses.append(connection.getresponse().status)
            connection.close()

        threads = [threading.Thread(target=ask) for _ in range(12)]
        for thread in threads:
            thread.start()
        assert begun.acquire(timeout=SECS)
        try:
            assert get(dashboard.url, "/healthz")[0] == 200
            assert get(dashboard.url, "/api/v1/openapi.json")[0] == 200
        finally:
            released.set()
        for thread in threads:
            thread.join(SECS)
        assert statuses == [200] * 12


def test_figures_that_nobody_waits_for_any_more_are_not_made(sample_root, monkeypatch):
    released = threading.Event()
    made = []

    def slow(figures, spec):
        made.append(spec.charts[0].key)
        assert released.wait(SECS)
        return b'{"figures":[]}'

    monkeypatch.setattr("holter.dashboard.api._figures.Figures.render", slow)
    with start(sample_root) as dashboard:
        asked = []
        for number in range(8):
            chart = {"key": str(number), "kind": "line", "names": [], "groups": []}
            asked.append(connect(dashboard.url))
            asked[-1].request("POST", "/api/v1/figures", json.dumps({"charts": [chart]}), JSON)
            if number < 4:
                wait_until(lambda: len(made) == number + 1, SECS)  # noqa: B023  it is waited for within the turn
        for connection in asked[4:7]:
            connection.close()
        assert get(dashboard.url, "/healthz")[0] == 200, "the server has seen what happened before"
        released.set()
        assert [connection.getresponse().status for connection in (*asked[:4], asked[7])] == [200] * 5
        assert sorted(made) == ["0", "1", "2", "3", "7"]
        for connection in asked:
            connection.close()


# --- The end ---


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_in_two_seconds_even_if_somebody_watches(serving, sign):
    child, said = serving()
    stream = Stream(said["url"], ["run-1"])
    stream.next()
    idle = connect(said["url"])
    idle.request("GET", "/healthz")
    idle.getresponse().read()  # and stays open
    begun = time.monotonic()
    child.send_signal(sign)
    assert stream.has_ended()
    code = child.wait(SECS)
    assert time.monotonic() - begun < 2.0
    out, err = child.communicate()
    assert err == ""
    assert (code, out) == ((0, "ended\n") if sign == signal.SIGINT else (-signal.SIGTERM, ""))
    stream.close()
    idle.close()


def test_stopping_twice_is_stopping_once(sample_root):
    dashboard = start(sample_root)
    assert repr(dashboard) == f"<Dashboard of {str(sample_root)!r} at {dashboard.url}>"
    dashboard.stop()
    dashboard.stop()
    with pytest.raises(ConnectionError):
        get(dashboard.url, "/healthz")


def test_a_browser_is_opened_if_asked_for(sample_root, monkeypatch):
    opened = []
    announced = []
    monkeypatch.setattr("webbrowser.open", opened.append)

    def announce(url):
        announced.append(url)
        threading.Thread(target=lambda: (wait_until(lambda: opened, SECS), os.kill(os.getpid(), signal.SIGINT))).start()

    serve(sample_root, open_browser=True, announce=announce)
    assert opened == announced
