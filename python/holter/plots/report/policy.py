"""What plotly.js does to a page that a content security policy has to allow."""

from __future__ import annotations

import ast
import base64
import hashlib
import re

_CRISP = ("optimizeSpeed", "-moz-crisp-edges", "-o-crisp-edges", "-webkit-optimize-contrast", "optimize-contrast")
ATTRIBUTE_STYLES = (
    "",
    "font-weight:bold",
    "font-size:70%",
    "".join(f"image-rendering: {word}; " for word in (*_CRISP, "crisp-edges", "pixelated")),
)
"""What plotly.js writes into `style` attributes for our figures, to the letter: nothing (to clear one), bold in the
hover, raised exponents on the axes, and how the image of a heatmap on an even grid is enlarged."""

_STYLE = re.compile(r"""createElement\("style"\);\w+\.id="\w+",\w+\.textContent=('[^'\\]*'|"[^"\\]*")""")


def styles_of(source: str) -> list[str]:
    """Return the style sheets that plotly.js puts into a page while it loads, so that a policy can allow just these."""
    return [str(ast.literal_eval(text)) for text in _STYLE.findall(source)]


def policy_hash(text: str) -> str:
    """Return what a content security policy calls an inline script or style sheet."""
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
