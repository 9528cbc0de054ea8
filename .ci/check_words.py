"""Report words that CONTRIBUTING.md's style page rules out.

Usage: python .ci/check_words.py

`.ci/words.txt` has one regular expression a line, in the syntax that Python and `rg --pcre2` share. CONTRIBUTING.md is
exempt, because it shows what to avoid.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXEMPT = {"CONTRIBUTING.md", "LICENSE", "LICENSE-APACHE", "LICENSE-MIT", "Cargo.lock", ".ci/words.txt"}
TEXT = {".css", ".c", ".html", ".js", ".json", ".md", ".py", ".pyi", ".rs", ".toml", ".txt", ".mjs", ".ts", ""}


def main() -> int:
    """Print each match as `path:line: word`; return 1 if there is any."""
    patterns = [re.compile(line, re.IGNORECASE) for line in (ROOT / ".ci/words.txt").read_text("utf-8").splitlines()]
    names = _files()
    found = 0
    for name in names:
        path = ROOT / name
        if name in EXEMPT or path.suffix not in TEXT or "corpus" in path.parts or not path.is_file():
            continue
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
            for pattern in patterns:
                if match := pattern.search(line):
                    print(f"{name}:{number}: {match.group()!r} is on the word list")
                    found += 1
    if found:
        print(f"{found} lines use a listed word; CONTRIBUTING.md, “Words”, shows what to write instead")
    return min(found, 1)


def _files() -> list[str]:
    """Return the tracked files, or outside a git checkout those of the source folders."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=False, capture_output=True, text=True)
    if listed.returncode == 0:
        return [name for name in listed.stdout.split("\0") if name]
    folders = ("rust", "python", "tests", "benches", "docs", ".ci")
    found = [*ROOT.glob("*.*"), *(path for folder in folders for path in (ROOT / folder).rglob("*"))]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


if __name__ == "__main__":
    sys.exit(main())
