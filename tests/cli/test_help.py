"""The help: complete for each command, and fast."""

import json
import re
import subprocess
import sys

import click
import pytest

from holter.cli import main
from holter.cli.program import SUBCOMMANDS

NAMES = [name for section in SUBCOMMANDS.values() for name in section]


def command_of(name: str) -> click.Command:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    return command


def test_help_lists_all_commands_and_exit_statuses(invoke):
    result = invoke("--help")
    assert result.status == 0
    for name, subcommand in (item for section in SUBCOMMANDS.values() for item in section.items()):
        assert re.search(rf"^  {name} +{re.escape(subcommand.purpose)}$", result.stdout, re.MULTILINE), name
    for status in ("0", "1", "2", "130", "141"):
        assert re.search(rf"^ +{status}  +\w", result.stdout, re.MULTILINE), status
    for word in ("HOLTER_DIR", "NO_COLOR", "--json", "holter completion bash"):
        assert word in result.stdout


def test_help_is_shown_without_a_command(invoke):
    result = invoke()
    assert result.status == 2
    assert "Maintenance:" in result.stdout + result.stderr


@pytest.mark.parametrize("name", NAMES)
def test_help_of_a_subcommand_is_complete(name, invoke):
    """It describes the command and when to use it, documents all options and arguments, and has two examples."""
    result = invoke(name, "--help")
    assert result.status == 0
    command = command_of(name)
    description, _, examples = (command.help or "").partition("Examples:")
    assert len(description.split()) > 15, "it does not describe the command and when to use it"
    lead = "python -m holter.demo" if name == "demo" else f"holter {name}"
    assert examples.count(lead) >= 2, "it has too few examples"
    assert [option.name for option in command.params if isinstance(option, click.Option) and not option.help] == []
    for argument in (param for param in command.params if isinstance(param, click.Argument)):
        names = set(re.findall(r"[A-Z]{3,}", argument.make_metavar(click.Context(command)))) - {"RUN"}
        assert {name for name in names if name not in description} == set()
    assert max(map(len, result.stdout.splitlines())) <= 100
    assert "\x08" not in result.stdout


@pytest.mark.parametrize("name", NAMES)
def test_the_table_of_subcommands_matches_their_names(name):
    """Catches a subcommand that was moved or renamed without its entry."""
    assert command_of(name).name in (name, "main")


def test_help_imports_no_subcommand_and_no_heavy_library():
    program = """if True:
        import json, sys
        from holter.cli import main
        try:
            main(["--help"])
        except SystemExit:
            print(json.dumps(sorted(sys.modules)), file=sys.stderr)
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(json.loads(done.stderr.splitlines()[-1]))
    assert "holter.cli.program" in loaded
    heavy = {"rich", "numpy", "pyarrow", "pandas", "torch", "plotly", "matplotlib", "starlette", "holter.analysis"}
    assert loaded & heavy == set()
    assert [name for name in loaded if name.startswith("holter.cli.commands")] == []


def test_help_imports_only_click():
    """Of all installed packages: other libraries are imported when a command runs."""
    program = """
import runpy, sys
sys.argv = ["holter", "--help"]
before = set(sys.modules)
try:
    runpy.run_module("holter.cli", run_name="__main__")
except SystemExit as exit:
    assert not exit.code
loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
print(*sorted(loaded - sys.stdlib_module_names - {"__main__"}), file=sys.stderr)
"""
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert result.stderr.split() == ["click", "holter"]


def test_version_is_printed(invoke):
    result = invoke("--version")
    assert result.status == 0
    assert re.fullmatch(r"holter, version \d+\.\d+\S*\n", result.stdout)
