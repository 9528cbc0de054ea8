"""The help stands alone, and answers at once."""

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


def test_the_first_help_names_every_command_and_every_exit_status(invoke):
    result = invoke("--help")
    assert result.status == 0
    for name, subcommand in ((name, one) for section in SUBCOMMANDS.values() for name, one in section.items()):
        assert re.search(rf"^  {name} +{re.escape(subcommand.purpose)}$", result.stdout, re.MULTILINE), name
    for status in ("0", "1", "2", "130", "141"):
        assert re.search(rf"^ +{status}  +\w", result.stdout, re.MULTILINE), status
    for word in ("HOLTER_DIR", "NO_COLOR", "--json", "holter completion bash"):
        assert word in result.stdout


def test_without_a_command_the_help_is_shown(invoke):
    result = invoke()
    assert result.status == 2
    assert "Look after:" in result.stdout + result.stderr


@pytest.mark.parametrize("name", NAMES)
def test_a_subcommands_help_stands_alone(name, invoke):
    """Says what it does, documents each option and argument it has, and shows two calls at least."""
    result = invoke(name, "--help")
    assert result.status == 0
    command = command_of(name)
    description, _, examples = (command.help or "").partition("Examples:")
    assert len(description.split()) > 15, "it does not say what the command does and when one wants it"
    lead = "python -m holter.demo" if name == "demo" else f"holter {name}"
    assert examples.count(lead) >= 2, "it shows too few calls"
    assert [option.name for option in command.params if isinstance(option, click.Option) and not option.help] == []
    for argument in (one for one in command.params if isinstance(one, click.Argument)):
        words = set(re.findall(r"[A-Z]{3,}", argument.make_metavar(click.Context(command)))) - {"RUN"}
        assert {word for word in words if word not in description} == set()
    assert max(map(len, result.stdout.splitlines())) <= 100
    assert "\x08" not in result.stdout


@pytest.mark.parametrize("name", NAMES)
def test_the_table_of_subcommands_agrees_with_the_subcommands(name):
    """Catches an entry that was moved or renamed, of a table that stands in for what it does not import."""
    assert command_of(name).name in (name, "main")


def test_help_imports_nothing_that_it_does_not_need():
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


def test_help_answers_at_once():
    """It loads click and nothing else that has to be installed: what a command needs is loaded when it runs."""
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


def test_the_version(invoke):
    result = invoke("--version")
    assert result.status == 0
    assert re.fullmatch(r"holter, version \d+\.\d+\S*\n", result.stdout)
