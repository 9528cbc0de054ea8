"""plotly.js as the `plotly` wheel ships it: found on disk, without importing plotly and without a network."""

import importlib.util
import pathlib


def plotly_file() -> pathlib.Path:
    """Return where plotly.min.js lies.

    Raises:
        ImportError: If plotly is not installed.
    """
    found = importlib.util.find_spec("plotly")
    for folder in (found.submodule_search_locations or ()) if found else ():
        path = pathlib.Path(folder) / "package_data" / "plotly.min.js"
        if path.is_file():
            return path
    raise ImportError("this needs plotly: pip install 'holter[serve]'")
