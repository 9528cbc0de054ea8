"""The structure of the sources: layers and cycles in Rust, file and function lengths, the cost of `import holter`.

import-linter and ruff check Python's layers (pyproject.toml); Cargo, `forbid(unsafe_code)` and clippy check most of Rust's.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE = ROOT / "rust/holter/src"
MAX_IMPORT_MILLIS = 20.0
MAX_LINES = {".rs": 400, ".py": 350, ".js": 350}
MAX_FUNCTION_LINES = 60

# In the core, a module (or any module below it) must not use these.
FORBIDDEN = {
    "fs": ["points", "read", "record", "rollup", "store"],
    "read": ["record"],
    "record/recorder": ["store"],
    "record/writer": ["store/parquet", "store/sqlite", "read"],
    "rollup": ["read", "record", "store"],
    "store": ["read", "record"],
}


def _module(path: Path) -> str:
    return path.relative_to(CORE).with_suffix("").as_posix().removesuffix("/mod")


def _code(path: Path) -> str:
    """The source without comments, doc links and unit tests."""
    return re.sub(r"//[^\n]*", "", path.read_text("utf-8")).split("#[cfg(test)]\nmod ")[0]


def _expand(prefix: str, tree: str) -> Iterator[str]:
    """Every path of a use tree: `a::{b, c::d}` gives `a::b` and `a::c::d`."""
    head, brace, rest = tree.partition("{")
    if not brace:
        yield prefix + tree.split(" as ")[0].strip()
        return
    depth, start = 0, 0
    inner = rest.rpartition("}")[0]
    for at, char in enumerate(inner + ","):
        depth += {"{": 1, "}": -1}.get(char, 0)
        if char == "," and depth == 0:
            if inner[start:at].strip():
                yield from _expand(prefix + head.strip(), inner[start:at].strip())
            start = at + 1


def _uses(modules: set[str], path: Path) -> set[str]:
    """The modules that a file of the core uses, by `crate::`, `super::` or `self::` paths."""
    code, me = _code(path), _module(path)
    is_folder = path.name == "mod.rs" or (path.with_suffix("")).is_dir()
    paths = [p for tree in re.findall(r"\buse\s+((?:crate|super|self)::[^;]+);", code) for p in _expand("", tree)]
    paths += re.findall(r"(?<!use )\b((?:crate|super|self)(?:::\w+)+)", code)
    found = set()
    for used in paths:
        parts = re.sub(r"\s", "", used).split("::")
        at = [] if parts[0] == "crate" else me.split("/")
        if parts[0] == "super":
            while parts and parts[0] == "super":
                at, parts = at[:-1], parts[1:]
        else:
            parts = parts[1:]
        while parts and "/".join([*at, parts[0]]) in modules:
            at, parts = [*at, parts[0]], parts[1:]
        if at and "/".join(at) != me and not (is_folder and me == "/".join(at)):
            found.add("/".join(at))
    return found


def _graph() -> dict[str, set[str]]:
    files = [path for path in sorted(CORE.rglob("*.rs")) if path.name not in ("lib.rs", "tests.rs")]
    modules = {_module(path) for path in files} | {_module(path).rpartition("/")[0] for path in files} - {""}
    return {_module(path): _uses(modules, path) for path in files}


def _cycle(graph: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def _siblings(graph: dict[str, set[str]], parent: str) -> dict[str, set[str]]:
    """The dependencies among the direct children of a module, each with everything below it."""
    depth = len(parent.split("/")) if parent else 0
    prefix = f"{parent}/" if parent else ""

    def child(module: str) -> str | None:
        return "/".join(module.split("/")[: depth + 1]) if module.startswith(prefix) and module != parent else None

    edges: dict[str, set[str]] = {}
    for module, uses in graph.items():
        if (own := child(module)) is not None:
            edges.setdefault(own, set()).update(other for use in uses if (other := child(use)) not in (None, own))
    return edges


def test_core_modules_have_no_cycles():
    graph = _graph()
    parents = {"", *(module.rpartition("/")[0] for module in graph)}
    assert {parent: cycle for parent in parents if (cycle := _cycle(_siblings(graph, parent)))} == {}


def test_core_layers_point_one_way():
    graph = _graph()
    wrong = [
        f"{module} -> {use}"
        for module, uses in graph.items()
        for layer, forbidden in FORBIDDEN.items()
        if module == layer or module.startswith(f"{layer}/")
        for use in uses
        if any(use == other or use.startswith(f"{other}/") for other in forbidden)
    ]
    assert wrong == []
    assert [layer for layer in FORBIDDEN if not any(module.startswith(layer) for module in graph)] == []


def test_cycles_and_use_trees_are_detected():
    assert _cycle(_siblings({"a/x": {"b"}, "b": {"a/y"}, "a/y": set()}, "")) != []
    assert _cycle(_siblings({"a/x": {"b"}, "b": set()}, "")) == []
    assert set(_expand("", "crate::{a::{b, c as d}, e}")) == {"crate::a::b", "crate::a::c", "crate::e"}


def test_only_the_journal_crate_has_unsafe_code():
    for crate in ("holter", "holter-python"):
        assert "#![forbid(unsafe_code)]" in (ROOT / f"rust/{crate}/src/lib.rs").read_text("utf-8")


def _functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            body = node.body
            is_documented = isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
            docstring = (body[0].end_lineno or 0) - body[0].lineno + 1 if is_documented else 0
            yield node.name, (node.end_lineno or 0) - node.lineno + 1 - docstring


def _sources(*folders: str) -> list[Path]:
    return [p for folder in folders for p in sorted((ROOT / folder).rglob("*")) if p.suffix in MAX_LINES]


def test_files_are_short():
    lengths = {p: len(p.read_text("utf-8").splitlines()) for p in _sources("rust", "python", "tests", "benches")}
    long = {p.relative_to(ROOT).as_posix(): n for p, n in lengths.items() if n > MAX_LINES[p.suffix]}
    assert long == {}


def test_python_functions_are_short():
    """Clippy checks those of Rust (clippy.toml)."""
    files = [path for path in _sources("python", "tests", "benches") if path.suffix == ".py"]
    found = [(path.relative_to(ROOT).as_posix(), *function) for path in files for function in _functions(path)]
    assert [function for function in found if function[2] > MAX_FUNCTION_LINES] == []


# --- What `import holter` costs ---


def _fresh(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True, timeout=60)


@pytest.mark.parametrize("module", ["torch", "numpy", "pandas", "pyarrow", "click", "rich"])
def test_import_holter_does_not_load(module):
    assert _fresh("-c", f"import holter, sys; print({module!r} in sys.modules)").stdout.strip() == "False"


def _import_millis() -> float:
    """The cumulative time of `import holter`, as measured by the interpreter."""
    lines = _fresh("-X", "importtime", "-c", "import holter").stderr.splitlines()
    entries = (line.split("|") for line in lines[1:] if line.count("|") == 2)
    return {name.strip(): int(micros) for _, micros, name in entries}["holter"] / 1000


def test_import_holter_is_fast():
    """The fastest of several imports: a busy machine slows down some of them, not all."""
    assert min(_import_millis() for _ in range(7)) < MAX_IMPORT_MILLIS
