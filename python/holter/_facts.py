"""What a run's manifest says of where it came from: host, command line, versions, commit.

Gathered once when a run is opened, from files and from modules that are loaded already: no process is
started and nothing is imported for it.
"""

import json
import math
import pathlib
import platform
import socket
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from holter import _core

__all__ = ["config_json", "facts_json"]

_VERSIONED_MODULES = ("torch", "numpy", "transformers", "lightning", "accelerate")


def facts_json(config: Mapping[str, Any] | None, tags: Iterable[str], *, more_tags: Iterable[str] = ()) -> str:
    """Return the facts as a JSON object.

    Args:
        config: What the user wants kept with the run. What JSON has no form for is kept as its text.
        tags: Words to find the run by, as the user gave them.
        more_tags: Further ones, put before them.

    Raises:
        TypeError: If `config` is no mapping or a tag no str.
    """
    if config is not None:
        _check_config(config)
    if isinstance(tags, str):
        message = f"tags must be a sequence of str, got the str {tags!r}"
        raise TypeError(message)
    tags = [*more_tags, *tags]
    for tag in tags:
        if not isinstance(tag, str):
            message = f"tags must be str, got {type(tag).__name__} {tag!r}"
            raise TypeError(message)
    facts: dict[str, Any] = {
        "host": socket.gethostname(),
        "git": _git(),
        "command_line": list(sys.argv),
        "versions": _versions(),
    }
    # What is not given stays as an earlier attempt gave it.
    if config is not None:
        facts["config"] = _plain(config)
    if tags:
        facts["tags"] = tags
    return json.dumps(_encodable(facts), allow_nan=False)


def config_json(config: Mapping[str, Any]) -> str:
    """Return a configuration as a JSON object, as `facts_json` has it in its own.

    Raises:
        TypeError: If `config` is no mapping.
    """
    _check_config(config)
    return json.dumps(_encodable(_plain(config)), allow_nan=False)


def _check_config(config: object) -> None:
    if not isinstance(config, Mapping):
        message = f"config must be a mapping, got {type(config).__name__}; vars(args) makes one of parsed arguments"
        raise TypeError(message)


def _plain(value: object) -> object:
    """The value in the forms that JSON has."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    return str(value)


def _encodable(value: Any) -> Any:
    """The value with what UTF-8 cannot say, such as an undecodable argument, escaped."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_encodable(item) for item in value]
    return value


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version(), "holter": _core.__version__}
    for name in _VERSIONED_MODULES:
        version = getattr(sys.modules.get(name), "__version__", None)
        if version is not None:
            versions[name] = str(version)
    return versions


def _git() -> dict[str, str] | None:
    """The commit and branch that the working directory is at, read from git's own files; None where there are none."""
    try:
        directory = pathlib.Path.cwd()  # which may have been deleted
        root = next((path for path in (directory, *directory.parents) if (path / ".git").exists()), None)
        if root is None:
            return None
        git_dir = root / ".git"
        if git_dir.is_file():  # a worktree: one line that says where its files are
            git_dir = (root / git_dir.read_text("utf-8").removeprefix("gitdir:").strip()).resolve()
        head = (git_dir / "HEAD").read_text("utf-8").strip()
        if not head.startswith("ref:"):
            return {"commit": head}
        ref = head.removeprefix("ref:").strip()
        return {"commit": _resolve(git_dir, ref), "branch": ref.removeprefix("refs/heads/")}
    except (OSError, UnicodeDecodeError, LookupError):
        return None


def _resolve(git_dir: pathlib.Path, ref: str) -> str:
    common = git_dir / "commondir"
    roots = [git_dir, (git_dir / common.read_text("utf-8").strip()).resolve()] if common.is_file() else [git_dir]
    for root in roots:
        if (root / ref).is_file():
            return (root / ref).read_text("utf-8").strip()
        packed = root / "packed-refs"
        if packed.is_file():
            for line in packed.read_text("utf-8").splitlines():
                commit, _, name = line.partition(" ")
                if name == ref:
                    return commit
    raise LookupError(ref)
