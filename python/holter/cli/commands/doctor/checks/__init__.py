"""The checks of `holter doctor`: each looks at one thing, through the public interface and the documented files."""

from holter.cli.commands.doctor.checks.finding import Finding, Severity

__all__ = ["Finding", "Severity"]
