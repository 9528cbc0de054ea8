"""One virtual environment for each recorder, made from PyPI and kept as long as the pinned versions are the same.

They lie in `HOLTER_PEERS_CACHE`, or in `~/.cache/holter/peers`.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig

from peers.recorder import Recorder

__all__ = ["MissingError", "environment", "lent_places"]

INSTALL_SECS = 1200
STAMP = "complete"


class MissingError(Exception):
    """A recorder cannot be measured here; the text says why."""


def cache() -> pathlib.Path:
    """Where the environments are kept."""
    default = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "holter" / "peers"
    return pathlib.Path(os.environ.get("HOLTER_PEERS_CACHE") or default).absolute()


def environment(name: str, recorder: Recorder, *, wheel: pathlib.Path | None = None) -> pathlib.Path:
    """The interpreter of a recorder's environment, which is made if there is none of these versions.

    Args:
        name: The recorder's name.
        recorder: Says what is needed.
        wheel: Installed in place of what the recorder requires.

    Raises:
        MissingError: If something cannot be installed or is not there to be lent.
    """
    lacking = [package for package in recorder.lent if not _is_here(package)]
    if lacking:
        raise MissingError(f"{', '.join(lacking)} is not in the environment that runs the benches ({sys.prefix})")
    requirements = (str(wheel),) if wheel else recorder.requirements
    words = [sys.version, *recorder.without_dependencies, *requirements]
    digest = hashlib.sha256("\n".join(words).encode() + (wheel.read_bytes() if wheel else b"")).hexdigest()[:12]
    place = cache() / f"{name}-{digest}"
    if not (place / STAMP).exists():
        for old in cache().glob(f"{name}-????????????"):  # of other versions, or not completed
            shutil.rmtree(old)
        print(f"{name}: making {place}", file=sys.stderr, flush=True)
        _make(place, requirements, recorder.without_dependencies)
        (place / STAMP).touch()
    return place / "bin" / "python"


def lent_places(recorder: Recorder) -> tuple[str, ...]:
    """The directories in which a recorder finds what is lent to it."""
    return (sysconfig.get_path("purelib"),) if recorder.lent else ()


def _is_here(package: str) -> bool:
    return (pathlib.Path(sysconfig.get_path("purelib")) / package).exists()


def _make(place: pathlib.Path, requirements: tuple[str, ...], without_dependencies: tuple[str, ...]) -> None:
    pip = [
        str(place / "bin" / "python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
    ]
    commands = [[sys.executable, "-m", "venv", str(place), *([] if requirements else ["--without-pip"])]]
    commands += [[*pip, *requirements]] if requirements else []
    commands += [[*pip, "--no-deps", *without_dependencies]] if without_dependencies else []
    for command in commands:
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECS, check=False)
        except subprocess.TimeoutExpired:
            raise MissingError(f"could not be installed within {INSTALL_SECS // 60} minutes") from None
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            raise MissingError("could not be installed: " + (lines[-1] if lines else f"exit status {done.returncode}"))
