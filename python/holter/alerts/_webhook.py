"""The webhook's settings. The URL is a secret: it is validated here and never shown."""

import math
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from holter.alerts._alert import LEVELS

__all__ = ["Webhook"]

_MAX_SECS = 3600.0


@dataclass(frozen=True, repr=False)
class Webhook:
    """A URL to post alerts to as JSON; docs/alerts.md describes the body.

    Anyone who has such a URL can post to it. Holter never writes it: `run.json`, warnings and `repr` contain only its
    host, even if the URL is part of the command line or the configuration.

    Attributes:
        url: An `https://` or `http://` URL.
        level: The minimum level of the alerts to send: `"info"`, `"warning"` or `"error"`.
        interval_secs: Minimum interval between messages, 0 to 3600; each contains all alerts since the previous one.
        timeout_secs: Time limit of each attempt, above 0 and at most 60, without the DNS lookup.

    Raises:
        TypeError, ValueError: If an argument has the wrong type or is out of range.
    """

    url: str
    level: str = "warning"
    interval_secs: float = 10.0
    timeout_secs: float = 5.0

    def __post_init__(self) -> None:
        """Validate the settings; error messages never contain the URL."""
        _split(self.url)
        if self.level not in LEVELS:
            raise ValueError(f"level must be one of {LEVELS}, got {self.level!r}")
        _check_secs("interval_secs", self.interval_secs, least=0.0, most=_MAX_SECS)
        _check_secs("timeout_secs", self.timeout_secs, least=0.001, most=60.0)

    @property
    def target(self) -> str:
        """The part of the URL that may be shown: its scheme and host."""
        parts = _split(self.url)
        return f"{parts.scheme}://{parts.netloc}/..."

    def redacted(self, text: str) -> str:
        """Return the text with each occurrence of the URL replaced by `target`."""
        return text.replace(self.url, self.target)

    def __repr__(self) -> str:
        return f"Webhook({self.target!r}, level={self.level!r})"


def _split(url: str) -> SplitResult:
    if not isinstance(url, str):
        raise TypeError(f"a webhook's url must be a str, got {type(url).__name__}")
    # JSON and HTTP would escape these characters, and `redacted` looks for the literal URL.
    if not url.isascii() or not url.isprintable() or set(url) & set(" \"'\\<>"):
        raise ValueError("a webhook's url must be ASCII; percent-encode spaces, quotes and other characters")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("a webhook's url must have a host and, optionally, a port from 0 to 65535") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("a webhook's url must start with https:// or http:// and a host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a webhook's url must not contain a user name or password; put the secret into its path")
    return parts


def _check_secs(argument: str, value: float, *, least: float, most: float) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{argument} must be a number, got {type(value).__name__} {value!r}")
    if not (math.isfinite(value) and least <= value <= most):
        raise ValueError(f"{argument} must be from {least:g} to {most:g} seconds, got {value!r}")
