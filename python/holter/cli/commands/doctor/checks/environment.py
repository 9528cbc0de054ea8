"""What is installed here: versions, and which extras of Holter's can be used."""

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
"""The packages of each extra, as pyproject.toml has them."""


def check_environment() -> list[Finding]:
    """Say the versions, and which extras are missing. Nothing is imported for it."""
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    versions = {name: _version(name) for packages in EXTRAS.values() for name in packages}
    installed = [f"{name} {version}" for name, version in versions.items() if version]
    absent = [extra for extra, packages in EXTRAS.items() if not all(versions[name] for name in packages)]
    findings = [
        Finding("versions", Severity.OK, f"holter {holter.__version__}, Python {platform.python_version()}, {system}"),
        Finding("extras", Severity.OK, f"installed: {', '.join(installed) or 'no extra'}"),
    ]
    if absent:
        way_out = f"only what they are for needs them: pip install 'holter[{','.join(absent)}]'"
        findings.append(Finding("extras", Severity.NOTE, f"not installed: {', '.join(absent)}", way_out))
    return findings


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
