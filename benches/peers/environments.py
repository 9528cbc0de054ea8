"""One virtual environment for each recorder, installed from PyPI and reused while the pinned versions are the same.

They are in `HOLTER_PEERS_CACHE`, or in `~/.cache/holter/peers`.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig

from peers.recorder import Recorder

__all__ = ["MissingError", "environment", "shared_directories"]

INSTALL_SECS = 1200
STAMP = "complete"


class MissingError(Exception):
    """A recorder cannot be measured here."""


def cache() -> pathlib.Path:
    """Return the directory of the environments."""
    default = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "holter" / "peers"
    return pathlib.Path(os.environ.get("HOLTER_PEERS_CACHE") or default).absolute()


def environment(name: str, recorder: Recorder, *, wheel: pathlib.Path | None = None) -> pathlib.Path:
    """Return the interpreter of a recorder's environment; create the environment if needed.

    Args:
        name: The recorder's name.
        recorder: The recorder, with its requirements.
        wheel: Installed instead of the recorder's requirements.

    Raises:
        MissingError: If a requirement cannot be installed, or a shared package is missing.
    """
    missing = [package for package in recorder.shared if not _is_installed(package)]
    if missing:
        raise MissingError(f"{', '.join(missing)} is not in the environment that runs the benches ({sys.prefix})")
    requirements = (str(wheel),) if wheel else recorder.requirements
    inputs = [sys.version, *recorder.without_dependencies, *requirements]
    digest = hashlib.sha256("\n".join(inputs).encode() + (wheel.read_bytes() if wheel else b"")).hexdigest()[:12]
    place = cache() / f"{name}-{digest}"
    if not (place / STAMP).exists():
        for old in cache().glob(f"{name}-????????????"):  # for other versions, or incomplete
            shutil.rmtree(old)
        print(f"{name}: creating {place}", file=sys.stderr, flush=True)
        _create(place, requirements, recorder.without_dependencies)
        (place / STAMP).touch()
    return place / "bin" / "python"


def shared_directories(recorder: Recorder) -> tuple[str, ...]:
    """Return the directories of the packages that are shared with a recorder."""
    return (sysconfig.get_path("purelib"),) if recorder.shared else ()


def _is_installed(package: str) -> bool:
    return (pathlib.Path(sysconfig.get_path("purelib")) / package).exists()


def _create(place: pathlib.Path, requirements: tuple[str, ...], without_dependencies: tuple[str, ...]) -> None:
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
            raise MissingError(f"installation took more than {INSTALL_SECS // 60} minutes") from None
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            raise MissingError("installation failed: " + (lines[-1] if lines else f"exit status {done.returncode}"))
