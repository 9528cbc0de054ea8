"""The webhook's URL is a secret, TLS is verified, and invalid settings are rejected."""

import json
import math
import subprocess
import sys

import pytest

import holter
from holter import alerts
from webhook_server import SECRET, hook, record, webhook_server

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
def test_url_is_never_written(run_dir, server, answer):
    """Not even if the recorded command line and configuration contain it."""
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


def test_tls_is_verified(run_dir, tmp_path, monkeypatch):
    certificate, key = str(tmp_path / "certificate.pem"), str(tmp_path / "key.pem")
    command = ["openssl", "req", "-x509", "-nodes", "-days", "2"]
    key_type = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    names = ["-subj", "/CN=holter", "-addext", "subjectAltName=IP:127.0.0.1"]
    try:
        subprocess.run(
            [*command, *key_type, *names, "-out", certificate, "-keyout", key], check=True, stderr=subprocess.DEVNULL
        )
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    with webhook_server(certificate=(certificate, key)) as server:
        with pytest.warns(holter.HolterWarning, match="certificate verify failed"):
            assert record(run_dir, hook(server.url)).dropped == 1
        assert not server.requests
        monkeypatch.setenv("SSL_CERT_FILE", certificate)
        assert record(run_dir.with_name("run-2"), hook(server.url)).sent == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: alerts.Webhook(3), "url must be a str, got int"),
        (lambda: alerts.Webhook(f"ftp://host/{SECRET}"), "start with https:// or http://"),
        (lambda: alerts.Webhook(f"file:///{SECRET}"), "start with https:// or http://"),
        (lambda: alerts.Webhook(f"https:///{SECRET}"), "and a host"),
        (lambda: alerts.Webhook(f"https://user:pass@host/{SECRET}"), "user name or password"),
        (lambda: alerts.Webhook(f"https://host:99999/{SECRET}"), "a port from 0 to 65535"),
        (lambda: alerts.Webhook(f"https://[::1/{SECRET}"), "must have a host"),
        (lambda: alerts.Webhook(f"https://host/{SECRET}\r\nX: y"), "must be ASCII"),
        (lambda: alerts.Webhook(f"https://höst/{SECRET}"), "must be ASCII"),
        (lambda: alerts.Webhook(f"https://host/{SECRET}", level="loud"), "level must be one of"),
        (lambda: alerts.Webhook(f"https://host/{SECRET}", timeout_secs=0), "timeout_secs must be from 0.001 to 60"),
        (lambda: alerts.Webhook(f"https://host/{SECRET}", interval_secs=math.nan), "interval_secs must be from 0"),
        (lambda: alerts.Webhook(f"https://host/{SECRET}", interval_secs="1"), "interval_secs must be a number"),
    ],
)
def test_invalid_webhook_is_rejected_without_showing_the_url(make, message):
    with pytest.raises((TypeError, ValueError), match=message) as raised:
        make()
    assert SECRET not in str(raised.value)
