"""plotly.js from the `plotly` wheel: its path, and the styles that a content security policy must allow for it.

Nothing here imports plotly or needs a network.
"""

import ast
import base64
import hashlib
import importlib.util
import pathlib
import re

_CRISP = ("optimizeSpeed", "-moz-crisp-edges", "-o-crisp-edges", "-webkit-optimize-contrast", "optimize-contrast")
_ATTRIBUTES = (
    "",  # clears a style
    "font-weight:bold",  # in hover labels
    "font-size:70%",  # raised exponents on the axes
    # on the images of heatmaps with even steps
    "".join(f"image-rendering: {value}; " for value in (*_CRISP, "crisp-edges", "pixelated")),
)
_SHEET = re.compile(r"""createElement\("style"\);\w+\.id="\w+",\w+\.textContent=('[^'\\]*'|"[^"\\]*")""")


def plotly_file() -> pathlib.Path:
    """Return the path of plotly.min.js.

    Raises:
        ImportError: If plotly is not installed.
    """
    found = importlib.util.find_spec("plotly")
    for folder in (found.submodule_search_locations or ()) if found else ():
        path = pathlib.Path(folder) / "package_data" / "plotly.min.js"
        if path.is_file():
            return path
    raise ImportError("plotly is required: pip install 'holter[serve]'")


def style_hashes(source: str) -> list[str]:
    """Return the hashes of the style sheets that plotly.js adds to a page while it loads.

    Args:
        source: The text of plotly.min.js.
    """
    return [source_hash(str(ast.literal_eval(text))) for text in _SHEET.findall(source)]


def style_attribute_hashes() -> list[str]:
    """Return the hashes of all `style` attributes that plotly.js sets for the figures of Holter."""
    return [source_hash(text) for text in _ATTRIBUTES]


def source_hash(text: str) -> str:
    """Return the hash by which a content security policy allows an inline script, style sheet or style attribute."""
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
