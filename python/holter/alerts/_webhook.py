"""Where alerts are sent, as the user gives it. The URL is a secret: it is checked here and shown nowhere."""

import math
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from holter.alerts._alert import LEVELS

__all__ = ["Webhook"]

_MAX_SECS = 3600.0


@dataclass(frozen=True, repr=False)
class Webhook:
    """A URL that alerts are posted to as JSON; docs/alerts.md has the body.

    Whoever knows such a URL can post to it. Holter writes it nowhere: `run.json`, warnings and `repr` have its host
    alone, also where the command line or the configuration has the URL in it.

    Attributes:
        url: Begins with `https://` or `http://`.
        level: The least serious alerts that are sent: `"info"`, `"warning"` or `"error"`.
        interval_secs: How long a message waits for the one before it at least, 0 to 3600; it has all alerts since.
        timeout_secs: How long one try to send a message takes at most, above 0 and at most 60. Looking up the host's
            name is the system's affair and not counted.

    Raises:
        TypeError, ValueError: If an argument is of the wrong type or out of its range.
    """

    url: str
    level: str = "warning"
    interval_secs: float = 10.0
    timeout_secs: float = 5.0

    def __post_init__(self) -> None:
        """Check all; no message has the URL in it."""
        _split(self.url)
        if self.level not in LEVELS:
            raise ValueError(f"level must be one of {LEVELS}, got {self.level!r}")
        _check_secs("interval_secs", self.interval_secs, least=0.0, most=_MAX_SECS)
        _check_secs("timeout_secs", self.timeout_secs, least=0.001, most=60.0)

    @property
    def target(self) -> str:
        """What may be shown of the URL: its scheme and host."""
        parts = _split(self.url)
        return f"{parts.scheme}://{parts.netloc}/..."

    def redacted(self, text: str) -> str:
        """Return the text, in which the URL may stand, with `target` in its place."""
        return text.replace(self.url, self.target)

    def __repr__(self) -> str:
        return f"Webhook({self.target!r}, level={self.level!r})"


def _split(url: str) -> SplitResult:
    if not isinstance(url, str):
        raise TypeError(f"a webhook's url must be a str, got {type(url).__name__}")
    # No text of JSON or of an HTTP request says any of these otherwise than as it is.
    if not url.isascii() or not url.isprintable() or set(url) & set(" \"'\\<>"):
        raise ValueError("a webhook's url must be of ASCII letters, digits and signs; what else is in it, %-encoded")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("a webhook's url must have a host, and a port from 0 to 65535 if any") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("a webhook's url must begin with https:// or http:// and a host")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a webhook's url must have no user name and no password; a secret goes into its path")
    return parts


def _check_secs(argument: str, value: float, *, least: float, most: float) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{argument} must be a number, got {type(value).__name__} {value!r}")
    if not (math.isfinite(value) and least <= value <= most):
        raise ValueError(f"{argument} must be from {least:g} to {most:g} seconds, got {value!r}")
