"""The environment: versions, and the extras of Holter that are installed."""

from __future__ import annotations

import platform
from importlib import metadata

import holter
from holter.cli.commands.doctor.checks.finding import Finding, Severity

__all__ = ["check_environment"]

EXTRAS = {
    "arrow": ("pyarrow",),
    "pandas": ("pandas",),
    "torch": ("torch",),
    "analysis": ("ruptures",),
    "plot": ("matplotlib",),
    "serve": ("plotly", "starlette", "uvicorn"),
}
"""The packages of each extra, as in pyproject.toml."""


def check_environment() -> list[Finding]:
    """Report versions and missing extras, without importing the packages."""
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    versions = {name: _version(name) for packages in EXTRAS.values() for name in packages}
    installed = [f"{name} {version}" for name, version in versions.items() if version]
    missing = [extra for extra, packages in EXTRAS.items() if not all(versions[name] for name in packages)]
    findings = [
        Finding("versions", Severity.OK, f"holter {holter.__version__}, Python {platform.python_version()}, {system}"),
        Finding("extras", Severity.OK, f"installed packages: {', '.join(installed) or 'none'}"),
    ]
    if missing:
        hint = f"if you need them: pip install 'holter[{','.join(missing)}]'"
        findings.append(Finding("extras", Severity.NOTE, f"extras not installed: {', '.join(missing)}", hint))
    return findings


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
