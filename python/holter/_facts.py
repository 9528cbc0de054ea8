"""Where a run comes from: host, command line, versions and commit, for its manifest.

Collected when a run is opened, from files and loaded modules, without starting a process or importing anything.
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


def facts_json(
    config: Mapping[str, Any] | None,
    tags: Iterable[str],
    *,
    group: str | None = None,
    notes: str | None = None,
    more_tags: Iterable[str] = (),
) -> str:
    """Return the facts as a JSON object.

    Args:
        config: Settings to keep with the run. Values that JSON cannot represent are kept as text.
        tags: Labels to find the run by.
        group: The name of a group of runs.
        notes: Free text about the run.
        more_tags: More labels, placed before `tags`.

    Raises:
        TypeError: If `config` is not a mapping, or another argument is not text.
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
    for argument, text in (("group", group), ("notes", notes)):
        if text is not None and not isinstance(text, str):
            message = f"{argument} must be a str, got {type(text).__name__} {text!r}"
            raise TypeError(message)
    facts: dict[str, Any] = {
        "host": socket.gethostname(),
        "git": _git(),
        "command_line": list(sys.argv),
        "versions": _versions(),
    }
    # A resumed run keeps what this attempt does not set.
    if config is not None:
        facts["config"] = _plain(config)
    given = {"tags": tags or None, "group": group, "notes": notes}
    facts.update({key: value for key, value in given.items() if value is not None})
    return json.dumps(_encodable(facts), allow_nan=False)


def config_json(config: Mapping[str, Any]) -> str:
    """Return a config as a JSON object, converted as in `facts_json`.

    Raises:
        TypeError: If `config` is not a mapping.
    """
    _check_config(config)
    return json.dumps(_encodable(_plain(config)), allow_nan=False)


def _check_config(config: object) -> None:
    if not isinstance(config, Mapping):
        message = f"config must be a mapping, got {type(config).__name__}; pass vars(args) for parsed arguments"
        raise TypeError(message)


def _plain(value: object) -> object:
    """Return the value as JSON types."""
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
    """Return the value with text that UTF-8 cannot encode, such as undecodable arguments, escaped."""
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
    """Return the commit and branch of the working directory from git's files; None outside a repository."""
    try:
        directory = pathlib.Path.cwd()  # raises if it was deleted
        root = next((path for path in (directory, *directory.parents) if (path / ".git").exists()), None)
        if root is None:
            return None
        git_dir = root / ".git"
        if git_dir.is_file():  # a worktree: the file has the path of its git directory
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
