"""The arrows that must never exist, and who alone may do what: ARCHITECTURE.md, "Forbidden arrows".

Each rule reads the sources and returns what offends; each is also shown an offender and an innocent, so that
no rule can pass by looking nowhere.
"""

import re
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from source_reading import Python, Rust, rust_reexports

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
CORE = "rust/holter/src/"
BINDING = "rust/holter-python/src/"

IMPORT_LIMIT_MILLIS = 20.0

HEAVY = ["torch", "numpy", "pandas", "pyarrow"]
STORES = {"rusqlite", "libsqlite3_sys", "parquet", "arrow", "arrow_csv", "arrow_ipc", "arrow_json"}

PROGRAMS = ("python/holter/cli/", "python/holter/demo/")  # what they print is what they are for
SERVER = re.compile(r"python/holter/(dashboard|tensorboard)/_?server\.py")


# --- Rust ---


def core_knows_no_python(file: Rust) -> list[str]:
    return file.reaches("pyo3", "numpy") if file.path.startswith(CORE) else []


def binding_stores_nothing(file: Rust) -> list[str]:
    return file.reaches(*STORES, "memmap2") if file.path.startswith(BINDING) else []


def journal_stands_alone(file: Rust) -> list[str]:
    """The ring needs `sync` and `point`; its file also reports errors, and maps memory through the system."""
    if not _is(file, "journal"):
        return []
    own = {"crate::journal", "crate::sync", "crate::point"}
    if file.path != f"{CORE}journal.rs":
        own.add("crate::error")
    foreign = [p for p in file.reaches("crate") if "::".join(p.split("::")[:2]) not in own]
    return foreign + file.reaches("rusqlite", "parquet", "arrow_array", "serde_json", "thiserror")


def recorder_knows_no_sink(file: Rust) -> list[str]:
    return file.reaches("crate::sink", "rusqlite", "parquet") if _is(file, "recorder") else []


def writer_knows_the_trait_only(file: Rust) -> list[str]:
    """`sink::Sink` and its kin are fine; a module below `sink` is one kind of store."""
    if not _is(file, "writer"):
        return []
    kinds = [p for p in file.reaches("crate::sink") if re.match(r"crate::sink::[a-z_]+", p)]
    return kinds + file.reaches("rusqlite", "parquet")


def reader_takes_no_part_in_writing(file: Rust) -> list[str]:
    """Of the journal it may read a copy; whatever appends, releases or locks is the producers' and the writer's."""
    if not _is(file, "reader"):
        return []
    journal = [p for p in file.reaches("crate::journal") if p.split("::")[2:3] not in (["Snapshot"], ["Records"])]
    return journal + file.reaches("crate::recorder", "crate::writer")


def unsafe_is_the_journals(file: Rust) -> list[str]:
    return [] if _is(file, "journal") else re.findall(r"\bunsafe\b", file.code)


def atomics_pass_through_sync(file: Rust) -> list[str]:
    """What loom explores must use loom's atomics, and only `sync` knows which are in use."""
    if file.path in {f"{CORE}journal.rs", f"{CORE}journal/slot.rs", f"{CORE}recorder.rs"}:
        return file.reaches("std::sync::atomic", "core::sync::atomic", "loom")
    return [] if file.path == f"{CORE}sync.rs" else file.reaches("loom")


def threads_are_the_writers(file: Rust) -> list[str]:
    starts = ("spawn", "scope", "Builder")
    return [] if _is(file, "writer") else file.reaches(*(f"std::thread::{start}" for start in starts), "rayon", "tokio")


def environment_is_read_by_config(file: Rust) -> list[str]:
    reads = ("var", "var_os", "vars", "vars_os", "set_var", "remove_var", "temp_dir", "home_dir")
    return [] if _is(file, "config") else file.reaches(*(f"std::env::{read}" for read in reads), "libc::getenv")


def on_disk_names_are_in_schema(file: Rust) -> list[str]:
    """Tables are made and files are named in `schema` alone; statements stand only where SQLite is spoken to."""
    if _is(file, "schema"):
        return []
    makes = re.compile(r"\b(CREATE|ALTER|DROP)\s+(TABLE|VIEW|INDEX|TRIGGER)\b|\bmessage\s+\w+\s*\{")
    metadata_key = re.compile(r"holter\.(format|journal|sequence)_\w+")
    names = {"run.json", "metrics.sqlite", "summary.jsonl", "events.jsonl", "journal.holter"}
    states = re.compile(r"\b(SELECT\b.*\bFROM|INSERT\b.*\bINTO|UPDATE\b.*\bSET|DELETE\s+FROM)\b", re.DOTALL)
    columns = {"run", "rank", "name", "step", "value", "timestamp"} if file.path == f"{CORE}sink/parquet.rs" else set()
    speaks_sql = _is(file, "sink/sqlite") or _is(file, "reader")
    return [
        literal
        for literal in file.literals
        if makes.search(literal)
        or metadata_key.fullmatch(literal)
        or literal in names | columns
        or (states.search(literal) and not speaks_sql)
    ]


def errors_become_python_in_one_file(file: Rust) -> list[str]:
    """Elsewhere an argument may be refused by the two exceptions that Python has for that."""
    if not file.path.startswith(BINDING) or file.path == f"{BINDING}error.rs":
        return []
    raised = r"\bPy(?!Type|Value)\w*Error::new_err\b|\bPyErr::(?:new|from_type|from_value)\b"
    return re.findall(rf"{raised}|\bfor\s+PyErr\b|\bcreate_exception!", file.code)


def _is(file: Rust, module: str) -> bool:
    """Whether the file is this module of the core, or below it."""
    inside = file.path.removeprefix(CORE)
    return inside == f"{module}.rs" or inside.startswith(f"{module}/")


# --- Python ---


def probes_use_the_public_logger(file: Python) -> list[str]:
    """A user's own probe has the same powers as ours."""
    mine = re.match(r"python/holter/(torch|integrations)/", file.path)
    private = re.compile(r"holter\._\w+")
    return [name for name in file.reaches("holter") if private.match(name)] if mine else []


def front_ends_read_through_run(file: Python) -> list[str]:
    mine = re.match(r"python/holter/(analysis|cli|dashboard|formats|plots|syncing|tensorboard)/", file.path)
    return file.reaches("holter._core", "sqlite3") if mine else []


def python_threads_are_few(file: Python) -> list[str]:
    allowed = {"python/holter/torch/_staging.py", "python/holter/system.py", "python/holter/alerts/_sender.py"}
    if file.path in allowed or SERVER.fullmatch(file.path):
        return []
    starts = ("threading.Thread", "threading.Timer", "_thread", "concurrent.futures", "multiprocessing", "asyncio")
    return file.reaches(*starts)


def the_network_is_asked_where_the_user_has_named_it(file: Python) -> list[str]:
    """Nothing that Holter records leaves the machine but to a webhook and by a sync."""
    clients = ["smtplib", "ftplib", "socket.create_connection", "requests", "httpx"]
    clients += [] if file.path == "python/holter/alerts/_post.py" else ["urllib.request", "http.client"]
    clients += [] if file.path.startswith("python/holter/syncing/") else ["fsspec"]
    return file.reaches(*clients)


def python_environment_is_read_by_config(file: Python) -> list[str]:
    reads = ("os.environ", "os.environb", "os.getenv", "os.getenvb", "os.putenv")
    return [] if file.path == "python/holter/_config.py" else file.reaches(*reads)


def library_code_is_quiet(file: Python) -> list[str]:
    """What is written to the terminal, and what becomes of a log record or a warning, is the program's choice."""
    if file.path.startswith(PROGRAMS):
        return []
    spoken = {"print", "sys.stdout.write", "sys.stderr.write", "warnings.simplefilter", "warnings.filterwarnings"}
    configuring = re.compile(r"(^|\.)(addHandler|setLevel|basicConfig|disable|captureWarnings|dictConfig|fileConfig)$")
    logging_only = {call for call in file.calls if configuring.search(call) and "logging" in file.imports}
    return sorted(file.calls & spoken | logging_only)


def cuda_events_are_the_stagings(file: Python) -> list[str]:
    if file.path == "python/holter/torch/_staging.py":
        return []
    return [name for name in file.reaches("torch") if re.fullmatch(r"torch(\.\w+)?\.Event", name)]


# --- The rules, each with an offender and an innocent ---


@dataclass(frozen=True)
class Case:
    rule: Callable[..., list[str]]
    path: str
    offender: str
    innocent: str


RUST = [
    Case(
        core_knows_no_python,
        f"{CORE}point.rs",
        "use pyo3::prelude::*;",
        '// use pyo3::prelude::*;\nconst WHY: &str = "use pyo3::prelude;";',
    ),
    Case(
        binding_stores_nothing,
        f"{BINDING}run.rs",
        "fn f() { rusqlite::Connection::open(p) }",
        "use arrow_array::ffi::X;",
    ),
    Case(
        journal_stands_alone,
        f"{CORE}journal.rs",
        "use crate::error::Error;",
        "use crate::{point::Point, sync::AtomicU64};",
    ),
    Case(
        journal_stands_alone,
        f"{CORE}journal/file.rs",
        "use super::super::series::SeriesTable;",
        "use super::slot::Slot; use crate::error::Result; use memmap2::MmapMut;",
    ),
    Case(
        recorder_knows_no_sink,
        f"{CORE}recorder.rs",
        "use crate::{health, sink::{self, Batch}};",
        "use crate::journal::Journal;\n#[cfg(test)]\nmod tests { use crate::sink::MemorySink; fn f() { {} } }",
    ),
    Case(
        writer_knows_the_trait_only,
        f"{CORE}writer.rs",
        "use crate::sink; fn f() { sink::sqlite::open() }",
        "use crate::sink::{Batch, Sink};",
    ),
    Case(
        reader_takes_no_part_in_writing,
        f"{CORE}reader.rs",
        "use crate::journal::{Journal, Snapshot};",
        "use crate::journal::Snapshot; fn f() { Snapshot::take(path) }",
    ),
    Case(
        unsafe_is_the_journals,
        f"{BINDING}lib.rs",
        "fn f<'a>(x: &'a u8) -> u8 { unsafe { *(x as *const u8) } }",
        "/* unsafe */ fn f() -> char { 'u' } // unsafe\n#[cfg(all(test, unix))]\nmod t { unsafe fn g() {} }",
    ),
    Case(
        atomics_pass_through_sync,
        f"{CORE}journal.rs",
        "use std::sync::{Arc, atomic::AtomicU64};",
        "use std::sync::Arc; use crate::sync::AtomicU64;",
    ),
    Case(
        threads_are_the_writers,
        f"{CORE}reader.rs",
        "use std::thread; fn f() { thread::Builder::new(); }",
        "use std::thread::{self, Thread}; fn f() { thread::yield_now(); }",
    ),
    Case(
        environment_is_read_by_config,
        f"{BINDING}lib.rs",
        'use std::{env, io}; fn f() { env::var("HOLTER_MODE") }',
        'const VERSION: &str = env!("CARGO_PKG_VERSION"); fn f() { std::env::args() }',
    ),
    Case(
        on_disk_names_are_in_schema,
        f"{CORE}writer.rs",
        'const SQL: &str = "SELECT step\\n FROM points";',
        '// "metrics.sqlite"\nconst WORDS: &str = "select a sink from these";',
    ),
    Case(
        on_disk_names_are_in_schema,
        f"{CORE}sink/sqlite.rs",
        'const SQL: &str = r#"CREATE TABLE "more" (x)"#;',
        'const SQL: &str = "SELECT step FROM points";',
    ),
    Case(
        on_disk_names_are_in_schema,
        f"{CORE}sink/parquet.rs",
        'row.column("timestamp")',
        "row.column(STEP)",
    ),
    Case(
        errors_become_python_in_one_file,
        f"{BINDING}logger.rs",
        'Err(PyOSError::new_err("disk"))',
        'Err(PyValueError::new_err("step must be"))',
    ),
]

PYTHON = [
    Case(
        probes_use_the_public_logger,
        "python/holter/torch/_watch.py",
        "from .._core import Recorder",
        "from holter import Logger\nfrom ._staging import Staging",
    ),
    Case(
        probes_use_the_public_logger,
        "python/holter/integrations/lightning.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from holter import _core",
        "import holter\nholter.Logger('runs')",
    ),
    Case(
        front_ends_read_through_run,
        "python/holter/cli/program.py",
        "def main():\n    import sqlite3",
        "from holter import open_run",
    ),
    Case(
        front_ends_read_through_run,
        "python/holter/dashboard/api.py",
        "import importlib\ncore = importlib.import_module('holter._core')",
        "from holter import analysis",
    ),
    Case(
        python_threads_are_few,
        "python/holter/_logger.py",
        "import threading as t\nt.Thread(target=print).start()",
        "import threading\nthreading.Lock()",
    ),
    Case(
        python_threads_are_few,
        "python/holter/alerts/_post.py",
        "from threading import Thread\nThread(target=print).start()",
        "from threading import Event\nEvent().wait(1)",
    ),
    Case(
        the_network_is_asked_where_the_user_has_named_it,
        "python/holter/alerts/_sender.py",
        "def f():\n    from urllib import request\n    request.urlopen('https://example.org')",
        "from urllib.parse import urlsplit\nimport socket\nsocket.gethostname()",
    ),
    Case(
        the_network_is_asked_where_the_user_has_named_it,
        "python/holter/_run.py",
        "import importlib\nimportlib.import_module('fsspec')",
        "from holter import syncing",
    ),
    Case(
        python_environment_is_read_by_config,
        "python/holter/_logger.py",
        "from os import environ as e\ne['HOME']",
        "import os\nos.getpid()",
    ),
    Case(library_code_is_quiet, "python/holter/_run.py", "print('loaded')", "'print(1)'  # print(2)"),
    Case(
        library_code_is_quiet,
        "python/holter/_logger.py",
        "import logging\nlogging.getLogger('holter').setLevel(10)",
        "import logging\nlogging.getLogger('holter').warning('x')",
    ),
    Case(
        cuda_events_are_the_stagings,
        "python/holter/torch/_grad.py",
        "import torch\ntorch.cuda.Event()",
        "import threading, torch\nthreading.Event()",
    ),
]


def _rust_files() -> list[Rust]:
    files = [
        Rust(path.relative_to(ROOT).as_posix(), path.read_text()) for path in sorted(ROOT.glob("rust/*/src/**/*.rs"))
    ]
    reexports = rust_reexports(next(file for file in files if file.path == f"{CORE}lib.rs"))
    for file in files:
        file.reexports = reexports
    return [file for file in files if not file.path.endswith("/tests.rs")]


def _python_files() -> list[Python]:
    return [Python(p.relative_to(ROOT).as_posix(), p.read_text()) for p in sorted(ROOT.glob("python/holter/**/*.py"))]


def _named(cases: list[Case]) -> list[object]:
    rules = dict.fromkeys(case.rule for case in cases)
    return [pytest.param(rule, id=rule.__name__) for rule in rules]


@pytest.mark.parametrize("rule", _named(RUST))
def test_rust_holds(rule):
    assert {file.path: found for file in _rust_files() if (found := rule(file))} == {}


@pytest.mark.parametrize("rule", _named(PYTHON))
def test_python_holds(rule):
    assert {file.path: found for file in _python_files() if (found := rule(file))} == {}


@pytest.mark.parametrize("case", RUST + PYTHON, ids=lambda case: f"{case.rule.__name__}-{Path(case.path).name}")
def test_rule_tells_an_offender_from_an_innocent(case):
    language = Rust if case in RUST else Python
    assert case.rule(language(case.path, case.offender))
    assert case.rule(language(case.path, case.innocent)) == []


def test_a_name_passed_on_by_the_root_does_not_hide_where_it_comes_from():
    root = Rust(f"{CORE}lib.rs", "mod sink; pub use sink::sqlite::{SqliteSink as Database};")
    writer = Rust(f"{CORE}writer.rs", "use crate::Database;", rust_reexports(root))
    assert writer_knows_the_trait_only(writer) == ["crate::sink::sqlite::SqliteSink"]


def test_the_files_that_the_rules_speak_of_exist():
    for module in ("config", "journal", "point", "reader", "recorder", "schema", "sink/sqlite", "sync", "writer"):
        assert (ROOT / CORE / f"{module}.rs").exists(), f"{module}.rs moved: its rules look nowhere"
    assert (ROOT / "python/holter/_config.py").exists()


def _dependencies(manifest: str) -> set[str]:
    """Every crate a manifest names, for whatever target or purpose, spelt as in the code."""
    found = set()

    def walk(table: dict) -> None:
        for key, value in table.items():
            if key.endswith("dependencies"):
                found.update(
                    str(spec.get("package", name) if isinstance(spec, dict) else name) for name, spec in value.items()
                )
            elif isinstance(value, dict):
                walk(value)

    walk(tomllib.loads(manifest))
    return {name.replace("-", "_") for name in found}


def test_manifests_keep_the_layers_apart():
    core = _dependencies((ROOT / "rust/holter/Cargo.toml").read_text())
    binding = _dependencies((ROOT / "rust/holter-python/Cargo.toml").read_text())
    assert {name for name in core if name.startswith(("pyo3", "numpy"))} == set()
    assert binding & (STORES | {"memmap2"}) == set()


def test_manifests_are_read_whole():
    manifest = '[target.x.dev-dependencies]\nlibsqlite3-sys = "1"\n[dependencies]\ndb = { package = "rusqlite" }'
    assert _dependencies(manifest) == {"libsqlite3_sys", "rusqlite"}


# --- What `import holter` costs ---


def _fresh(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-I", *arguments], capture_output=True, text=True, check=True, timeout=60)


def _loaded_by(statement: str) -> list[str]:
    return _fresh("-c", f"{statement}\nimport sys; print(*(m for m in {HEAVY} if m in sys.modules))").stdout.split()


def _import_millis(module: str) -> float:
    """How long the first import takes, with all that it imports, as the interpreter itself measures it."""
    lines = _fresh("-X", "importtime", "-c", f"import {module}").stderr.splitlines()
    entries = (line.split("|") for line in lines[1:] if line.count("|") == 2)
    cumulative = {name.strip(): int(micros) for _, micros, name in entries}
    return cumulative[module] / 1000


def test_import_loads_nothing_heavy():
    assert _loaded_by("import holter") == []


def test_import_of_something_heavy_would_be_seen():
    assert _loaded_by("import numpy") == ["numpy"]


def test_import_is_fast():
    _import_millis("holter")  # writes the bytecode, which users have too
    millis = statistics.median(_import_millis("holter") for _ in range(7))
    assert millis < IMPORT_LIMIT_MILLIS
