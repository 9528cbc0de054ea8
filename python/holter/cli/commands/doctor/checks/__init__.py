"""The checks of `holter doctor`. They use the public interface and the documented files."""

from holter.cli.commands.doctor.checks.finding import Finding, Severity

__all__ = ["Finding", "Severity"]
