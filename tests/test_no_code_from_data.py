"""Data that is read cannot become code: no file of the package uses pickle, `eval` or a shell.

A rule about the sources, so it is also tested on violations and on correct code.
"""

import ast
from pathlib import Path

import pytest

from source_reading import Python

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "python" / "holter").rglob("*.py"))
UNPICKLERS = [
    "pickle", "_pickle", "marshal", "shelve", "dbm", "dill", "cloudpickle", "joblib", "jsonpickle", "yaml", "ruamel",
    "torch.load", "torch.hub", "numpy.load", "pandas.read_pickle", "multiprocessing.connection", "xmlrpc",
]  # fmt: skip
RUNNERS = [
    "os.system",
    "os.popen",
    "pty.spawn",
    "codeop",
    "runpy",
    "ctypes",
    "cffi",
    "subprocess.getoutput",
]
BUILTINS = {"eval", "exec", "compile", "__import__", "input", "breakpoint"}
LOADERS = {"importlib.import_module"}
PROCESSES = {"python/holter/tensorboard/_program.py"}
"""Files that start another program: TensorBoard, with a list of arguments."""
COMPUTED = {"python/holter/cli/program.py", "python/holter/_run.py"}
"""Files that import a module by a computed name, from a constant table or from a caller in the same file."""


def violations(file: Python) -> list[str]:
    found = file.reaches(*UNPICKLERS) + [use for use in file.uses if use.startswith(("os.exec", "os.spawn"))]
    found += file.reaches(*RUNNERS)
    found += sorted(file.calls & BUILTINS)
    if file.path not in PROCESSES:
        found += file.reaches("subprocess", "asyncio.subprocess", "asyncio.create_subprocess_shell")
    for node in ast.walk(ast.parse(file.text)):
        if not isinstance(node, ast.Call):
            continue
        found += [f"{k.arg}=" for k in node.keywords if k.arg in ("shell", "allow_pickle") and _is_on(k.value)]
        called = ast.unparse(node.func)
        if called in LOADERS and file.path not in COMPUTED and not isinstance(node.args[0], ast.Constant):
            found.append(ast.unparse(node))
    return found


def _is_on(value: ast.expr) -> bool:
    return not (isinstance(value, ast.Constant) and value.value is False)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_source_does_not_run_data_as_code(path):
    assert violations(Python(path.relative_to(ROOT).as_posix(), path.read_text())) == []


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from pickle import loads as read",
        "import yaml\nyaml.load(text)",
        "import torch\ntorch.load(path)",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "eval(text)",
        "exec(text)",
        "exec(compile(text, name, 'exec'))",
        "import os\nos.system(text)",
        "import os\nos.execvp(text, [])",
        "import subprocess\nsubprocess.run(text, shell=True)",
        "def f():\n    from subprocess import run",
        "import importlib\nimportlib.import_module(text)",
    ],
)
def test_a_violation_is_found(text):
    assert violations(Python("python/holter/new.py", text)) != []


@pytest.mark.parametrize(
    "text",
    [
        "model.eval()",
        "import re\nre.compile(text)",
        "import ast\nast.literal_eval(text)",
        "import importlib\nimportlib.import_module('psutil')",
        "import json\njson.loads(text)",
    ],
)
def test_correct_code_is_accepted(text):
    assert violations(Python("python/holter/new.py", text)) == []
