"""A webhook server, and an environment in which load does not change the outcome."""

from collections.abc import Iterator

import pytest

from holter.alerts import _sender
from webhook_server import WebhookServer, webhook_server


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ignore the environment's proxies."""
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture(autouse=True)
def patient_close(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give `close()` enough time on a busy machine."""
    monkeypatch.setattr(_sender, "CLOSE_SECS", 60.0)


@pytest.fixture
def fast_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry immediately."""
    monkeypatch.setattr(_sender, "_FIRST_PAUSE_SECS", 0.01)


@pytest.fixture
def server() -> Iterator[WebhookServer]:
    with webhook_server() as server:
        yield server
