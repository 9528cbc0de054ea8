"""Keeps passwords out of what is told: of URLs that hold one, and of messages that repeat it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Redaction"]

_PASSWORD = re.compile(r"(^|://)([^\s/:@]*):(?!//)(\S+)@")
"""Up to the last @: one that holds a / makes no proper URL, but is a password."""
_QUERY = re.compile(r"\?\S*")
_SECRET_OPTION = re.compile(r"pass|secret|token|key|credential|signature|sas", re.IGNORECASE)
HIDDEN = "***"


class Redaction:
    """What must not be told of a destination.

    Args:
        url: The URL as it was given.
        options: The options of its file system.
    """

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        self.url = _QUERY.sub(f"?{HIDDEN}", _PASSWORD.sub(rf"\1\2:{HIDDEN}@", url))
        """The URL as it may be told: without a password, and without what may be a signature."""
        told = [found[3] for found in _PASSWORD.finditer(url)]
        told += [found[0][1:] for found in _QUERY.finditer(url)]
        told += [value for name, value in options.items() if isinstance(value, str) and _SECRET_OPTION.search(name)]
        secrets = {form for text in told for form in (text, unquote(text)) if form}
        self._secrets = sorted(secrets, key=len, reverse=True)

    def clean(self, text: str) -> str:
        """Return the text with every secret hidden."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text
