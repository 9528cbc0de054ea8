"""Data that is read cannot become code, and only webhooks and `sync` connect to other machines.

Rules about the sources, so they are also tested on violations and on correct code.
"""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "python" / "holter"
SOURCES = sorted(PACKAGE.rglob("*.py"))

# A module, function or class that runs code or programs, and everything below it.
RUNNERS = [
    "pickle", "_pickle", "marshal", "shelve", "dbm", "dill", "cloudpickle", "joblib", "jsonpickle", "yaml", "ruamel",
    "torch.load", "torch.hub", "numpy.load", "pandas.read_pickle", "multiprocessing.connection", "xmlrpc",
    "os.system", "os.popen", "pty.spawn", "codeop", "runpy", "ctypes", "cffi",
    "subprocess", "asyncio.subprocess", "asyncio.create_subprocess_shell",
]  # fmt: skip
RUNNER_PREFIXES = ("os.exec", "os.spawn")
BUILTINS = {"eval", "exec", "compile", "__import__", "input", "breakpoint"}
KEYWORDS = {"shell", "allow_pickle"}
NETWORK = ["http.client", "urllib.request", "fsspec", "requests", "httpx", "aiohttp", "ftplib", "smtplib"]

# Files that may break a rule.
STARTS_PROGRAMS = {"tensorboard/_program.py"}
"""TensorBoard, with a list of arguments."""
COMPUTED_IMPORTS = {"__init__.py", "_series.py", "cli/program.py"}
"""Names from a constant table, or from callers that pass a constant."""
CONNECTS = {"alerts/_post.py", "syncing/_destination.py"}


def names_used(tree: ast.AST) -> set[str]:
    """The full dotted names that are imported or used, with import aliases resolved."""
    aliases: dict[str, str] = {}
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
            aliases |= {name.asname: name.name for name in node.names if name.asname}
        elif isinstance(node, ast.ImportFrom):
            full = {name.asname or name.name: f"{node.module}.{name.name}" for name in node.names}
            found |= set(full.values())
            aliases |= full
    for node in ast.walk(tree):
        if isinstance(node, (ast.Attribute, ast.Name)):
            first, dot, rest = ast.unparse(node).partition(".")
            found.add(aliases.get(first, first) + dot + rest)
    return found


def below(names: set[str], *modules: str) -> list[str]:
    return sorted(name for name in names if any(name == m or name.startswith(f"{m}.") for m in modules))


def violations(path: str, text: str) -> list[str]:
    tree = ast.parse(text)
    names = names_used(tree)
    runners = [name for name in RUNNERS if name != "subprocess" or path not in STARTS_PROGRAMS]
    found = below(names, *runners) + [name for name in names if name.startswith(RUNNER_PREFIXES)]
    if path not in CONNECTS:
        found += below(names, *NETWORK)
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        function = ast.unparse(call.func)
        found += [function] if function in BUILTINS else []
        found += [f"{key.arg}=" for key in call.keywords if key.arg in KEYWORDS and ast.unparse(key.value) != "False"]
        is_computed = function == "importlib.import_module" and not isinstance(call.args[0], ast.Constant)
        found += [ast.unparse(call)] if is_computed and path not in COMPUTED_IMPORTS else []
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_source_neither_runs_data_as_code_nor_connects_to_other_machines(path):
    assert violations(path.relative_to(PACKAGE).as_posix(), path.read_text("utf-8")) == []


def test_the_exceptions_are_needed():
    for path in (*STARTS_PROGRAMS, *COMPUTED_IMPORTS, *CONNECTS):
        assert violations("other.py", (PACKAGE / path).read_text("utf-8")) != [], path


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from pickle import loads as read",
        "import yaml\nyaml.load(text)",
        "import torch\ntorch.load(path)",
        "from torch import load",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "eval(text)",
        "exec(text)",
        "exec(compile(text, name, 'exec'))",
        "import os\nos.system(text)",
        "import os\nos.execvp(text, [])",
        "import subprocess\nsubprocess.run(text, shell=True)",
        "def f():\n    from subprocess import run",
        "import importlib\nimportlib.import_module(text)",
        "import urllib.request as web\nweb.urlopen(url)",
        "from fsspec.core import url_to_fs",
    ],
)
def test_a_violation_is_found(text):
    assert violations("new.py", text) != []


@pytest.mark.parametrize(
    "text",
    [
        "model.eval()",
        "import re\nre.compile(text)",
        "import ast\nast.literal_eval(text)",
        "import importlib\nimportlib.import_module('psutil')",
        "import json\njson.loads(text)",
        "import urllib.parse\nurllib.parse.urlsplit(url)",
    ],
)
def test_correct_code_is_accepted(text):
    assert violations("new.py", text) == []
