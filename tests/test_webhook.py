"""The webhook: what is sent, where it may not go, and that no server keeps a training or its end waiting."""

import json
import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import holter
from holter import alerts
from holter.alerts import _sender
from waiting import wait_until
from webhook_server import SECRET, WebhookServer, webhook_server

RULES = [alerts.NonFinite(level="error")]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment says of proxies is not for these servers."""
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again at once."""
    monkeypatch.setattr(_sender, "_FIRST_PAUSE_SECS", 0.01)


@pytest.fixture
def server() -> Iterator[WebhookServer]:
    with webhook_server() as server:
        yield server


def hook(url: str, **settings: object) -> alerts.Webhook:
    return alerts.Webhook(url, **{"interval_secs": 0, "timeout_secs": 2, **settings})


def record(run_dir: Path, webhook: alerts.Webhook | str) -> alerts.Delivery:
    """Record a run with one alert, and return how it fared with the webhook."""
    with holter.Logger(run_dir, alerts=RULES, webhook=webhook) as logger:
        logger.log(7, "loss", math.nan)
    return logger.webhook


def seconds(action: Callable[[], object]) -> float:
    began = time.monotonic()
    action()
    return time.monotonic() - began


def sender_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "holter-webhook"]


def test_an_alert_arrives(run_dir, server):
    delivery = record(run_dir, server.url)
    assert delivery == alerts.Delivery(sent=1, waiting=0, dropped=0, last_error=None)
    (request,) = server.requests
    assert (request.method, request.target) == ("POST", f"/{SECRET}")
    assert request.headers["Content-Type"] == "application/json"
    message = request.message
    (line,) = (run_dir / "events.jsonl").read_text().splitlines()
    assert message == {
        "text": "run-1: error: loss at step 7: the value is nan",
        "run": {"name": "run-1", "rank": 0},
        "alerts": [json.loads(line)],
        "more": 0,
        "dropped": 0,
    }


def test_alerts_of_one_moment_are_one_message(run_dir, server):
    with holter.Logger(run_dir, alerts=RULES, webhook=hook(server.url), name="big") as logger:
        logger.log_many(0, {f"layer_{layer:03}": math.nan for layer in range(300)})
        wait_until(lambda: logger.webhook.sent == 300, secs=10)
    (message,) = server.messages
    assert [alert["series"] for alert in message["alerts"]] == [f"layer_{layer:03}" for layer in range(100)]
    assert message["more"] == 200
    lines = message["text"].splitlines()
    assert lines[0] == "big: 300 alerts"
    assert lines[1] == "error: layer_000 at step 0: the value is nan"
    assert lines[-1] == "and 290 more"


def test_messages_keep_their_distance(run_dir, server):
    with holter.Logger(run_dir, alerts=RULES, webhook=hook(server.url, interval_secs=0.5)) as logger:
        logger.log(0, "a", math.nan)
        wait_until(lambda: server.requests, secs=10)
        began = time.monotonic()
        logger.log(0, "b", math.nan)
        logger.flush(60)
        logger.log(0, "c", math.nan)
        wait_until(lambda: len(server.requests) == 2, secs=10)
        assert time.monotonic() - began > 0.4
    assert [[alert["series"] for alert in message["alerts"]] for message in server.messages] == [["a"], ["b", "c"]]


def test_less_serious_alerts_are_not_sent(run_dir, server):
    rules = [alerts.NonFinite("info", level="info"), alerts.NonFinite("error", stop=True)]
    with holter.Logger(run_dir, alerts=rules, webhook=hook(server.url, level="error")) as logger:
        logger.log_many(0, {"info": math.nan, "error": math.nan})
    (message,) = server.messages
    assert [alert["series"] for alert in message["alerts"]] == ["error"]
    assert message["text"].endswith("the value is nan, and the training is asked to stop")


def test_names_are_text_in_a_chat_and_whole_in_the_list(run_dir, server):
    names = ["<!channel> & <https://evil.example|click>", "a\nb\x1b[31m\u202e", "x" * 60_000, "\x01" * 60_000]
    with holter.Logger(run_dir, alerts=RULES, webhook=hook(server.url)) as logger:
        logger.log_many(0, dict.fromkeys(names, math.nan))
    (message,) = server.messages
    assert [alert["series"] for alert in message["alerts"]] == names
    assert "<" not in message["text"]
    assert "&lt;!channel&gt; &amp; &lt;https" in message["text"]
    assert len(message["text"].splitlines()) == 5
    assert len(message["text"]) < 2000
    assert "\u202e" not in message["text"]


def test_long_names_do_not_make_a_message_long(run_dir, server):
    names = [f"{number}{'x' * 60_000}" for number in range(30)]
    with holter.Logger(run_dir, alerts=RULES, webhook=hook(server.url)) as logger:
        logger.log_many(0, dict.fromkeys(names, math.nan))
    (request,) = server.requests
    assert len(request.body) < 600_000
    assert len(request.message["alerts"]) + request.message["more"] == 30


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_a_server_that_fails_for_a_moment_is_asked_again(run_dir, server, status):
    server.answers = [status, status, 204]
    with holter.Logger(run_dir, alerts=RULES, webhook=hook(server.url)) as logger:
        logger.log(7, "loss", math.nan)
        wait_until(lambda: logger.webhook.sent == 1, secs=10)
    assert len(server.requests) == 3
    assert logger.webhook.dropped == 0
    assert f"answered {status}" in logger.webhook.last_error


@pytest.mark.usefixtures("impatient")
def test_a_server_that_always_fails_is_left_alone_and_said_once(run_dir):
    with webhook_server(500) as server, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with holter.Logger(run_dir, alerts=RULES, webhook=hook(server.url)) as logger:
            for number in (1, 2):
                logger.log(0, f"loss_{number}", math.nan)
                wait_until(lambda number=number: logger.webhook.dropped == number, secs=10)
    assert len(server.requests) == 2 * _sender.NUM_TRIES
    assert server.messages[-1]["dropped"] == 1
    assert [warning.category for warning in caught] == [holter.HolterWarning]
    assert "counted in logger.webhook.dropped" in str(caught[0].message)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 400, 401, 404, 410])
@pytest.mark.filterwarnings("ignore::holter.HolterWarning")
def test_what_will_not_change_is_asked_once_and_redirects_are_not_followed(run_dir, status):
    with webhook_server() as elsewhere, webhook_server(status) as server:
        server.headers["Location"] = elsewhere.url
        delivery = record(run_dir, hook(server.url))
        assert delivery.dropped == 1
        assert f"answered {status}" in delivery.last_error
        assert len(server.requests) == 1
        assert not elsewhere.requests


@pytest.mark.filterwarnings("ignore::holter.HolterWarning")
def test_a_server_that_takes_and_never_answers_keeps_nothing_waiting(run_dir, server, monkeypatch):
    monkeypatch.setattr(_sender, "CLOSE_SECS", 1.0)
    server.answers = ["hold"]
    logger = holter.Logger(run_dir, alerts=RULES, webhook=hook(server.url, timeout_secs=60))
    logger.log(0, "loss", math.nan)
    wait_until(lambda: server.requests, secs=10)
    for step in range(1, 200_000):
        logger.log(step, "loss", 0.5)
    logger.flush(60)
    assert 1 <= seconds(logger.close) < 4
    assert logger.health.dropped == 0
    assert logger.webhook.waiting == 1
    assert len(holter.open_run(run_dir).series("loss")) == 200_000
    server.released.set()
    wait_until(lambda: not sender_threads(), secs=10)


@pytest.mark.filterwarnings("ignore::holter.HolterWarning")
@pytest.mark.parametrize("answer", ["hold", "drip"])
def test_a_slow_answer_has_the_time_it_was_given_in_all(run_dir, server, answer):
    """Catches a limit on each byte, by which a server that sends one now and then holds the thread for good."""
    server.answers = [answer, 200]
    with holter.Logger(run_dir, alerts=RULES, webhook=hook(server.url, timeout_secs=0.5)) as logger:
        logger.log(0, "loss", math.nan)
        wait_until(lambda: logger.webhook.last_error, secs=5)
        assert "timed out" in logger.webhook.last_error
        wait_until(lambda: logger.webhook.sent == 1, secs=10)


@pytest.mark.usefixtures("impatient")
def test_a_server_that_is_not_there(run_dir):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.warns(holter.HolterWarning, match="do not arrive"):
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


@pytest.mark.usefixtures("impatient")
def test_a_server_that_is_killed_while_it_is_asked(run_dir):
    command = [sys.executable, "-c", KILLED_SERVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        port = int(child.stdout.readline())
        logger = holter.Logger(run_dir, alerts=RULES, webhook=hook(f"http://127.0.0.1:{port}/{SECRET}"))
        logger.log(0, "loss", math.nan)
        assert child.stdout.readline() == b"b'P'\n"
        child.kill()
        with pytest.warns(holter.HolterWarning, match="do not arrive"):
            wait_until(lambda: logger.webhook.dropped == 1, secs=20)
        logger.close()
    assert "refused" in logger.webhook.last_error


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("answer", [b"", b"what?\r\n\r\n", b"HTTP/1.1 " + b"2" * 100_000, b"\x00\xff" * 1000])
@pytest.mark.filterwarnings("ignore::holter.HolterWarning")
def test_what_answers_and_is_no_http(run_dir, answer):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _ in range(_sender.NUM_TRIES):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(1 << 20)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        delivery = record(run_dir, hook(f"http://127.0.0.1:{listener.getsockname()[1]}/{SECRET}"))
        thread.join(20)
    assert delivery.dropped == 1
    assert SECRET not in delivery.last_error


@pytest.mark.filterwarnings("ignore::holter.HolterWarning")
def test_a_flood_is_bounded_and_what_is_lost_is_counted(run_dir, server):
    server.answers = ["hold", 200]
    with holter.Logger(run_dir, alerts=RULES, webhook=hook(server.url, timeout_secs=30)) as logger:
        logger.log(0, "first", math.nan)
        wait_until(lambda: server.requests, secs=10)
        for step in range(10_000):
            logger.log(step, "loss", math.nan if step % 2 else 0.5)
        logger.flush(60)
        server.released.set()
        wait_until(lambda: logger.webhook.sent >= 1000, secs=20)
    delivery = logger.webhook
    assert delivery.sent + delivery.dropped == 5001
    assert 4000 <= delivery.dropped <= 4001  # the first, whose answer was cut off, was sent again
    assert server.messages[-1]["dropped"] == delivery.dropped


LEAKY = """
import argparse, math, sys
import holter
from holter import alerts
parser = argparse.ArgumentParser()
parser.add_argument("--webhook")
parser.add_argument("--run")
arguments = parser.parse_args()
webhook = alerts.Webhook(arguments.webhook)
print(webhook, file=sys.stderr)
logger = holter.Logger(arguments.run, config=vars(arguments), alerts=[alerts.NonFinite()], webhook=webhook)
logger.update_config({"hook": arguments.webhook, "nested": [{"hook": arguments.webhook}]})
logger.log(0, "loss", math.nan)
print(logger, logger.alerts, logger.health, file=sys.stderr)
logger.close()
print(logger.webhook, file=sys.stderr)
"""


@pytest.mark.parametrize("answer", [200, 404])
def test_the_url_is_written_nowhere(run_dir, server, answer):
    """Also where the command line and the configuration, which a run keeps, have it in them."""
    server.answers = [answer]
    command = [sys.executable, "-c", LEAKY, "--webhook", server.url, "--run", str(run_dir)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert server.requests[0].target == f"/{SECRET}"
    assert "127.0.0.1" in done.stderr
    assert SECRET not in done.stderr + done.stdout
    assert SECRET not in server.requests[0].body.decode()
    files = [path for path in run_dir.rglob("*") if path.is_file()]
    assert {"run.json", "events.jsonl", "metrics.sqlite"} <= {path.name for path in files}
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []
    manifest = json.loads((run_dir / "run.json").read_text())
    target = server.url.removesuffix(SECRET) + "..."
    assert manifest["config"] == {"webhook": target, "run": str(run_dir), "hook": target, "nested": [{"hook": target}]}
    assert target in manifest["command_line"]


OPEN_AT_EXIT = """
import math, sys
import holter
from holter import alerts
logger = holter.Logger(sys.argv[1], alerts=[alerts.NonFinite()], webhook=sys.argv[2])
logger.log(0, "loss", math.nan)
"""


def test_a_program_that_closes_nothing_still_sends(run_dir, server):
    subprocess.run([sys.executable, "-c", OPEN_AT_EXIT, str(run_dir), server.url], check=True, timeout=60)
    assert len(server.requests) == 1


def test_a_program_ends_although_the_server_does_not_answer(run_dir, server):
    server.answers = ["hold"]
    command = [sys.executable, "-c", OPEN_AT_EXIT, str(run_dir), server.url]
    done = subprocess.run(command, check=True, timeout=_sender.CLOSE_SECS + 25, capture_output=True, text=True)
    assert "Fatal" not in done.stderr
    assert holter.open_run(run_dir).status == "finished"


def test_a_logger_that_is_let_go_of_leaves_no_thread(run_dir, server):
    logger = holter.Logger(run_dir, alerts=RULES, webhook=hook(server.url))
    assert sender_threads()
    logger.log(0, "loss", math.nan)
    del logger
    wait_until(lambda: not sender_threads(), secs=10)
    assert len(server.requests) == 1


def test_a_forked_child_sends_nothing_and_waits_for_nothing(run_dir, server):
    with holter.Logger(run_dir, alerts=RULES, webhook=hook(server.url)) as logger:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            signal.alarm(20)
            warnings.simplefilter("ignore")
            logger.log(0, "child", math.nan)
            logger.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        logger.log(0, "parent", math.nan)
    assert [alert["series"] for message in server.messages for alert in message["alerts"]] == ["parent"]


def test_nothing_is_started_where_nothing_is_recorded_or_sent(run_dir, server, monkeypatch):
    with holter.Logger(run_dir, alerts=RULES) as logger:
        assert logger.webhook is None
    monkeypatch.setenv("HOLTER_MODE", "disabled")
    with holter.Logger(run_dir, alerts=RULES, webhook=server.url) as logger:
        logger.log(0, "loss", math.nan)
        assert logger.webhook is None
    assert not sender_threads()
    assert not server.requests


def test_tls_is_verified(run_dir, tmp_path, monkeypatch):
    certificate, key = str(tmp_path / "certificate.pem"), str(tmp_path / "key.pem")
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    names = ["-subj", "/CN=holter", "-addext", "subjectAltName=IP:127.0.0.1"]
    try:
        subprocess.run([*command, *names, "-out", certificate, "-keyout", key], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no `openssl`")
    with webhook_server(certificate=(certificate, key)) as server:
        with pytest.warns(holter.HolterWarning, match="certificate verify failed"):
            assert record(run_dir, hook(server.url)).dropped == 1
        assert not server.requests
        monkeypatch.setenv("SSL_CERT_FILE", certificate)
        assert record(run_dir.with_name("run-2"), hook(server.url)).sent == 1


def test_a_proxy_is_used_as_the_environment_says(run_dir, server, monkeypatch):
    monkeypatch.delenv("no_proxy")
    monkeypatch.setenv("http_proxy", server.url)
    assert record(run_dir, hook("http://hooks.invalid/x")).sent == 1
    assert server.requests[0].target == "http://hooks.invalid/x"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: alerts.Webhook(3), "url must be a str, got int"),
        (lambda: alerts.Webhook(f"ftp://host/{SECRET}"), "begin with https:// or http://"),
        (lambda: alerts.Webhook(f"file:///{SECRET}"), "begin with https:// or http://"),
        (lambda: alerts.Webhook(f"https:///{SECRET}"), "and a host"),
        (lambda: alerts.Webhook(f"https://user:pass@host/{SECRET}"), "no user name"),
        (lambda: alerts.Webhook(f"https://host:99999/{SECRET}"), "a port from 0 to 65535"),
        (lambda: alerts.Webhook(f"https://[::1/{SECRET}"), "must have a host"),
        (lambda: alerts.Webhook(f"https://host/{SECRET}\r\nX: y"), "must be of ASCII"),
        (lambda: alerts.Webhook(f"https://höst/{SECRET}"), "must be of ASCII"),
        (lambda: alerts.Webhook(f"https://host/{SECRET}", level="loud"), "level must be one of"),
        (lambda: alerts.Webhook(f"https://host/{SECRET}", timeout_secs=0), "timeout_secs must be from 0.001 to 60"),
        (lambda: alerts.Webhook(f"https://host/{SECRET}", interval_secs=math.nan), "interval_secs must be from 0"),
        (lambda: alerts.Webhook(f"https://host/{SECRET}", interval_secs="1"), "interval_secs must be a number"),
    ],
)
def test_a_wrong_webhook_is_refused_without_showing_it(make, words):
    with pytest.raises((TypeError, ValueError), match=words) as raised:
        make()
    assert SECRET not in str(raised.value)


def test_what_is_no_webhook_or_has_nothing_to_send_is_refused(run_dir):
    with pytest.raises(TypeError, match=r"must be a URL or a holter\.alerts\.Webhook, got int"):
        holter.Logger(run_dir, alerts=RULES, webhook=3)
    with pytest.raises(ValueError, match="there are no alerts"):
        holter.Logger(run_dir, webhook="https://host/x")
    assert not run_dir.exists()
