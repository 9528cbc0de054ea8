"""Webhook messages: their content, pacing, limits, and the life of the sender thread."""

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import warnings

import pytest

import holter
from holter import alerts
from waiting import wait_until
from webhook_server import RULES, SECRET, hook, record, sender_threads


def test_alert_arrives(run_dir, server):
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


def test_simultaneous_alerts_share_a_message(run_dir, server):
    with holter.Logger(run_dir, alerts=RULES, webhook=hook(server.url), name="big") as logger:
        logger.log_many(0, {f"layer_{layer:03}": math.nan for layer in range(300)})
        wait_until(lambda: logger.webhook.sent == 300, secs=60)
    (message,) = server.messages
    assert [alert["series"] for alert in message["alerts"]] == [f"layer_{layer:03}" for layer in range(100)]
    assert message["more"] == 200
    lines = message["text"].splitlines()
    assert lines[0] == "big: 300 alerts"
    assert lines[1] == "error: layer_000 at step 0: the value is nan"
    assert lines[-1] == "and 290 more"


def test_alerts_during_a_delivery_share_the_next_message(run_dir, server):
    server.answers = ["late", 200]
    with holter.Logger(run_dir, alerts=RULES, webhook=hook(server.url)) as logger:
        logger.log(0, "a", math.nan)
        wait_until(lambda: server.requests, secs=60)
        logger.log(0, "b", math.nan)
        logger.flush(60)
        logger.log(0, "c", math.nan)
        logger.flush(60)
        server.released.set()
        wait_until(lambda: len(server.requests) == 2, secs=60)
    assert [[alert["series"] for alert in message["alerts"]] for message in server.messages] == [["a"], ["b", "c"]]


def test_messages_keep_their_interval(run_dir, server):
    with holter.Logger(run_dir, alerts=RULES, webhook=hook(server.url, interval_secs=3600)) as logger:
        logger.log(0, "a", math.nan)
        wait_until(lambda: logger.webhook.sent == 1, secs=60)
        logger.log(0, "b", math.nan)
        logger.flush(60)
        assert len(server.requests) == 1
    assert len(server.requests) == 2, "closing does not wait for the interval"


def test_alerts_below_the_level_are_not_sent(run_dir, server):
    rules = [alerts.NonFinite("info", level="info"), alerts.NonFinite("error", stop=True)]
    with holter.Logger(run_dir, alerts=rules, webhook=hook(server.url, level="error")) as logger:
        logger.log_many(0, {"info": math.nan, "error": math.nan})
    (message,) = server.messages
    assert [alert["series"] for alert in message["alerts"]] == ["error"]
    assert message["text"].endswith("the value is nan, stop requested")


def test_names_are_escaped_in_the_text_and_complete_in_the_list(run_dir, server):
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


def test_long_names_do_not_exceed_the_message_limit(run_dir, server):
    names = [f"{number}{'x' * 60_000}" for number in range(30)]
    with holter.Logger(run_dir, alerts=RULES, webhook=hook(server.url)) as logger:
        logger.log_many(0, dict.fromkeys(names, math.nan))
    (request,) = server.requests
    assert len(request.body) < 600_000
    assert len(request.message["alerts"]) + request.message["more"] == 30


def test_queue_is_bounded_and_dropped_alerts_are_counted(run_dir, server):
    server.answers = ["late", 200]
    with holter.Logger(run_dir, alerts=RULES, webhook=hook(server.url)) as logger:
        logger.log(0, "first", math.nan)
        wait_until(lambda: server.requests, secs=60)
        for step in range(10_000):
            logger.log(step, "loss", math.nan if step % 2 else 0.5)
        logger.flush(60)
        server.released.set()
        wait_until(lambda: logger.webhook.sent == 1001, secs=60)
    assert logger.webhook.dropped == 4000
    assert server.messages[-1]["dropped"] == 4000


OPEN_AT_EXIT = """
import math, sys
import holter
from holter import alerts
logger = holter.Logger(sys.argv[1], alerts=[alerts.NonFinite()], webhook=sys.argv[2])
logger.log(0, "loss", math.nan)
"""


def test_alerts_are_sent_at_exit_without_close(run_dir, server):
    subprocess.run([sys.executable, "-c", OPEN_AT_EXIT, str(run_dir), server.url], check=True, timeout=120)
    assert len(server.requests) == 1


def test_process_exits_even_if_the_server_never_answers(run_dir, server):
    server.answers = ["hold"]
    command = [sys.executable, "-c", OPEN_AT_EXIT, str(run_dir), server.url]
    done = subprocess.run(command, check=True, timeout=90, capture_output=True, text=True)
    assert "Fatal" not in done.stderr
    assert holter.open_run(run_dir).status == "finished"


def test_deleted_logger_leaves_no_thread(run_dir, server):
    logger = holter.Logger(run_dir, alerts=RULES, webhook=hook(server.url))
    assert sender_threads()
    logger.log(0, "loss", math.nan)
    del logger
    wait_until(lambda: not sender_threads(), secs=60)
    assert len(server.requests) == 1


def test_forked_child_neither_sends_nor_waits(run_dir, server):
    with holter.Logger(run_dir, alerts=RULES, webhook=hook(server.url)) as logger:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            signal.alarm(60)
            try:
                with contextlib.suppress(holter.ForkedProcessError):
                    logger.log(0, "child", math.nan)
                logger.close()
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        logger.log(0, "parent", math.nan)
    assert [alert["series"] for message in server.messages for alert in message["alerts"]] == ["parent"]


def test_no_thread_without_webhook_or_when_disabled(run_dir, server, monkeypatch):
    with holter.Logger(run_dir, alerts=RULES) as logger:
        assert logger.webhook is None
    monkeypatch.setenv("HOLTER_MODE", "disabled")
    with holter.Logger(run_dir, alerts=RULES, webhook=server.url) as logger:
        logger.log(0, "loss", math.nan)
        assert logger.webhook is None
    assert not sender_threads()
    assert not server.requests


def test_proxy_from_the_environment_is_used(run_dir, server, monkeypatch):
    monkeypatch.delenv("no_proxy")
    monkeypatch.setenv("http_proxy", server.url)
    assert record(run_dir, hook("http://hooks.invalid/x")).sent == 1
    assert server.requests[0].target == "http://hooks.invalid/x"


def test_webhook_argument_needs_the_right_type_and_alerts(run_dir):
    with pytest.raises(TypeError, match=r"must be a URL or a holter\.alerts\.Webhook, got int"):
        holter.Logger(run_dir, alerts=RULES, webhook=3)
    with pytest.raises(ValueError, match="alerts"):
        holter.Logger(run_dir, webhook="https://host/x")
    assert not run_dir.exists()
