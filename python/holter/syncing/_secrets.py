"""Removes passwords from URLs and messages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Redaction"]

_PASSWORD = re.compile(r"(^|://)([^\s/:@]*):(?!//)(\S+)@")
"""Greedy up to the last @: a password with an unescaped / makes the URL invalid, but is still a password."""
_QUERY = re.compile(r"\?\S*")
_SECRET_OPTION = re.compile(r"pass|secret|token|key|credential|signature|sas", re.IGNORECASE)
HIDDEN = "***"


class Redaction:
    """The secrets of a destination.

    Args:
        url: The URL as the user gave it.
        options: The options of its file system.
    """

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        self.url = _QUERY.sub(f"?{HIDDEN}", _PASSWORD.sub(rf"\1\2:{HIDDEN}@", url))
        """The URL without its password and its query, which may hold a signature."""
        found = [match[3] for match in _PASSWORD.finditer(url)]
        found += [match[0][1:] for match in _QUERY.finditer(url)]
        found += [value for name, value in options.items() if isinstance(value, str) and _SECRET_OPTION.search(name)]
        secrets = {form for text in found for form in (text, unquote(text)) if form}
        self._secrets = sorted(secrets, key=len, reverse=True)

    def clean(self, text: str) -> str:
        """Return the text with every secret replaced by asterisks."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text
