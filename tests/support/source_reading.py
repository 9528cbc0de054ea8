"""Reads this repository's sources as far as the layer tests need: which names a file reaches, and where.

A full parser for Python; for Rust, comments and literals are taken out and what is left is searched for paths.
"""

import ast
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

# In this order: a quote inside a comment opens nothing, and `'a` without a closing quote is a lifetime.
_NOT_CODE = re.compile(
    r"""
    (?P<comment> //[^\n]* | /\*.*?\*/ )
  | [bc]?r(?P<hashes>\#*)"(?P<raw>.*?)"(?P=hashes)
  | [bc]?"(?P<text>(?:\\.|[^"\\])*)"
  | b?'(?:\\.[^'\n]*|[^\\'\n])'
    """,
    re.DOTALL | re.VERBOSE,
)
_TEST_ATTRIBUTE = re.compile(r"#\[cfg\((?:test|all\([^\]]*\btest\b[^\]]*\))\)\]")
_USE = re.compile(r"\buse\s+([^;]+);")
_PATH = re.compile(r"(?<![\w:])[A-Za-z_]\w*(?:::[A-Za-z_]\w*)+")


@dataclass
class Rust:
    """One file of Rust; `path` is relative to the repository, `reexports` maps `crate::X` to where X is defined."""

    path: str
    text: str
    reexports: dict[str, str] | None = None

    @cached_property
    def _spans(self) -> tuple[str, list[tuple[int, str]]]:
        """The code with everything else blanked, character for character, and the string literals by position."""
        literals = []

        def blank(match: re.Match[str]) -> str:
            if match["comment"] is None:
                literals.append((match.start(), match["text"] or match["raw"] or ""))
            return re.sub(r"[^\n]", " ", match[0])

        code = _NOT_CODE.sub(blank, self.text)
        for start, end in _test_items(code):
            code = code[:start] + re.sub(r"[^\n]", " ", code[start:end]) + code[end:]
            literals = [(at, literal) for at, literal in literals if not start <= at < end]
        return code, literals

    @property
    def code(self) -> str:
        """The code outside of its own unit tests, without comments and literals."""
        return self._spans[0]

    @property
    def literals(self) -> list[str]:
        """The string literals outside of comments and unit tests."""
        return [literal for _, literal in self._spans[1]]

    @property
    def module(self) -> str:
        """The file's own module, as in `crate::sink::sqlite`."""
        parts = list(PurePosixPath(self.path).with_suffix("").parts)
        inside = parts[parts.index("src") + 1 :]
        if inside[-1] in {"lib", "mod"}:
            inside.pop()
        return "::".join(["crate", *inside])

    @cached_property
    def paths(self) -> set[str]:
        """Every path the file names, from the crate's root where it is one of the crate's own."""
        aliases: dict[str, str] = {}
        found = set()
        for statement in _USE.findall(self.code):
            for path, alias in _expand(" ".join(statement.split())):
                absolute = self._absolute(path)
                found.add(absolute)
                aliases[alias] = absolute
        for path in _PATH.findall(_USE.sub("", self.code)):
            first, _, rest = path.partition("::")
            found.add(self._absolute(f"{aliases[first]}::{rest}" if first in aliases else path))
        return found

    def _absolute(self, path: str) -> str:
        parts = path.split("::")
        base = self.module.split("::")
        if parts[0] == "self":
            parts = base + parts[1:]
        while parts[0] == "super":
            base = base[:-1]
            parts = base + parts[1:] if parts[1:2] != ["super"] else parts[1:]
        head = "::".join(parts[:2])
        return "::".join([(self.reexports or {}).get(head, head), *parts[2:]])

    def reaches(self, *modules: str) -> list[str]:
        """The paths that lie in one of these modules or crates."""
        return sorted(p for p in self.paths if any(p == m or p.startswith(f"{m}::") for m in modules))


def rust_reexports(lib: Rust) -> dict[str, str]:
    """What `lib.rs` passes on under another path: `crate::Point` to `crate::point::Point`."""
    local = set(re.findall(r"\bmod\s+(\w+)", lib.code))
    passed_on = {}
    for statement in re.findall(r"\bpub use\s+([^;]+);", lib.code):
        for path, alias in _expand(" ".join(statement.split())):
            first = path.split("::")[0]
            absolute = f"crate::{path}" if first in local else lib._absolute(path)
            if absolute.startswith("crate::"):
                passed_on[f"crate::{alias}"] = absolute
    return passed_on


def _expand(tree: str) -> list[tuple[str, str]]:
    """`a::{b, c::{self, d as e}}` as the paths it brings in, each with the name it gets."""
    brace = tree.find("{")
    if brace < 0:
        path, _, alias = tree.strip().partition(" as ")
        path = path.strip().removeprefix("::")
        path = path.removesuffix("::self")
        return [(path, alias.strip() or path.split("::")[-1])] if path else []
    prefix = tree[:brace].strip()
    return [found for part in _split(tree[brace + 1 : tree.rfind("}")]) for found in _expand(prefix + part.strip())]


def _split(parts: str) -> list[str]:
    depth, pieces = 0, [""]
    for char in parts:
        depth += (char == "{") - (char == "}")
        if char == "," and depth == 0:
            pieces.append("")
        else:
            pieces[-1] += char
    return [piece for piece in pieces if piece.strip()]


def _test_items(code: str) -> list[tuple[int, int]]:
    """Where the items under `#[cfg(test)]` start and end."""
    spans = []
    for attribute in _TEST_ATTRIBUTE.finditer(code):
        opening = re.compile(r"[{;]").search(code, attribute.end())
        end = opening.end() if opening else len(code)
        depth = 1 if opening and opening[0] == "{" else 0
        while depth and end < len(code):
            depth += (code[end] == "{") - (code[end] == "}")
            end += 1
        spans.append((attribute.start(), end))
    return spans


@dataclass
class Python:
    """One file of Python; `path` is relative to the repository."""

    path: str
    text: str

    @cached_property
    def _tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def _package(self) -> list[str]:
        """What a relative import starts from."""
        return list(PurePosixPath(self.path).relative_to("python").parent.parts)

    @cached_property
    def _bindings(self) -> list[tuple[str, str]]:
        """Each imported thing's full name, with the local name it gets."""
        found = []
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Import):
                found += [(name.name, name.asname or name.name.split(".")[0]) for name in node.names]
            elif isinstance(node, ast.ImportFrom):
                package = self._package[: len(self._package) - node.level + 1] if node.level else []
                base = ".".join([*package, *([node.module] if node.module else [])])
                found += [(f"{base}.{name.name}", name.asname or name.name) for name in node.names]
            elif isinstance(node, ast.Call) and _dotted(node.func).split(".")[-1] in {"import_module", "__import__"}:
                found += [(a.value, "") for a in node.args[:1] if isinstance(a, ast.Constant)]
        return found

    @property
    def imports(self) -> set[str]:
        """The full name of everything imported anywhere in the file, also where only types need it."""
        return {name for name, _ in self._bindings}

    @cached_property
    def uses(self) -> set[str]:
        """The full dotted names that are imported or read: `os.environ` also for `from os import environ as e`."""
        # `import a.b` binds `a`; `from a import b as c` and `import a.b as c` bind `c` to `a.b`.
        local = {alias: alias if name.startswith(f"{alias}.") else name for name, alias in self._bindings if alias}
        names = (_dotted(node) for node in ast.walk(self._tree) if isinstance(node, (ast.Attribute, ast.Name)))
        expanded = (name.partition(".") for name in names if name)
        return self.imports | {local.get(first, first) + dot + rest for first, dot, rest in expanded}

    @cached_property
    def calls(self) -> set[str]:
        """The dotted names that are called, as they are written."""
        return {_dotted(node.func) for node in ast.walk(self._tree) if isinstance(node, ast.Call)}

    def reaches(self, *names: str) -> list[str]:
        """What of these modules, or below them, is imported or read."""
        return sorted(use for use in self.uses if any(use == name or use.startswith(f"{name}.") for name in names))


def _dotted(node: ast.AST) -> str:
    """`a.b.c` of nested attributes; of anything else before a dot only what comes after it."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return ""
