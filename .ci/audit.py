"""Asks what is known against our dependencies: licences and sources of the crates, and advisories of everything.

    make audit

Where the data of the advisories cannot be had it says so: that is no failure, and no clean bill either. It ends with 1
if something was found.
"""

import json
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from importlib import metadata

CRATES = ("licenses", "bans", "sources")
OUT_OF_REACH = "failed to fetch advisory database"
PYPI = "https://pypi.org/pypi/{name}/{version}/json"
PATIENCE_SECS = 20


def crates() -> bool:
    """Have cargo-deny check the crates; whether it has found nothing."""
    if shutil.which("cargo-deny") is None:
        print("crates: not checked: cargo-deny is not installed (cargo install --locked cargo-deny)")
        return True
    is_clean = subprocess.run(["cargo", "deny", "check", *CRATES], check=False).returncode == 0
    print(f"crates: {', '.join(CRATES)}: {'nothing found' if is_clean else 'see above'}")
    done = subprocess.run(["cargo", "deny", "check", "advisories"], check=False, stderr=subprocess.PIPE, text=True)
    if OUT_OF_REACH in done.stderr:
        print("crates: advisories: not checked: RustSec's database is out of reach")
        return is_clean
    sys.stderr.write(done.stderr)
    return is_clean and done.returncode == 0


def required(name: str, extras: Iterable[str]) -> dict[str, str]:
    """The installed version of each package that an installed one needs, with these extras of it."""
    found: dict[str, str] = {}
    waiting = [(name, tuple(extras))]
    while waiting:
        wanted, its_extras = waiting.pop()
        for requirement in metadata.requires(wanted) or []:
            text, _, marker = requirement.partition(";")
            extra = re.search(r"extra == ['\"]([^'\"]+)", marker)
            if extra and extra[1] not in its_extras:
                continue
            package = re.match(r"[\w.-]+", text.strip())
            key = re.sub(r"[-_.]+", "-", package[0]).lower() if package else ""
            try:
                version = metadata.version(key)
            except (metadata.PackageNotFoundError, ValueError):
                continue  # of another platform, or of an extra that is not installed
            if key not in found:
                found[key] = version
                waiting.append((key, ()))
    return found


def told(name: str, version: str) -> list[dict[str, object]]:
    """What PyPI says against a release."""
    with urllib.request.urlopen(PYPI.format(name=name, version=version), timeout=PATIENCE_SECS) as answer:
        return json.load(answer).get("vulnerabilities") or []


def packages(versions: dict[str, str], ask: Callable[[str, str], list[dict[str, object]]] = told) -> bool:
    """Ask PyPI about packages, one after the other; whether it has said nothing against any."""
    found = asked = 0
    for name, version in sorted(versions.items()):
        try:
            vulnerabilities = ask(name, version)
        except (OSError, ValueError) as error:
            print(f"packages: advisories: not checked from {name} on: PyPI's JSON is out of reach ({error})")
            break
        asked += 1
        for one in vulnerabilities:
            found += 1
            print(f"packages: {name} {version}: {one.get('id')}, mended in {one.get('fixed_in')}: {one.get('summary')}")
    print(f"packages: {asked} of {len(versions)} asked about, {found} advisories")
    return found == 0


def main() -> int:
    """Run everything; 1 if something was found."""
    try:
        extras = metadata.metadata("holter").get_all("Provides-Extra") or []
        versions = required("holter", [extra for extra in extras if extra != "dev"])
    except metadata.PackageNotFoundError:
        versions = {}
        print("packages: not checked: holter is not installed in this environment")
    return 0 if all([crates(), packages(versions)]) else 1


if __name__ == "__main__":
    sys.exit(main())
