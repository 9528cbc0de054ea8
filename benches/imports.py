"""Time of `import holter`, sizes of the wheel and the extension, memory of an idle logger."""

import importlib.metadata
import pathlib
import re
import subprocess
import sys

from support import report

TURNS = 21
IDLE = """
import pathlib, sys, tempfile
def resident():
    fields = dict(line.split(":", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]), int(fields["RssFile"].split()[0]) + int(fields["RssShmem"].split()[0])
before, files_before = resident()
import holter
imported, _ = resident()
with tempfile.TemporaryDirectory() as directory:
    logger = holter.Logger(directory + "/run")
    logger.log(0, "train/loss", 1.0)
    logger.flush()
    idle, files = resident()
    logger.close()
print(imported - before, idle - before, files - files_before)
"""


def import_millis() -> float:
    """Return the cumulative time of `import holter` in a fresh interpreter."""
    command = [sys.executable, "-X", "importtime", "-c", "import holter"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stderr.splitlines()
    found = [re.fullmatch(r"import time: +\d+ \| +(\d+) \| holter", line) for line in lines]
    return next(int(match[1]) for match in found if match) / 1e3


def wheel_bytes() -> int | None:
    """Return the size of the newest wheel of this version in dist/, if there is one."""
    dist = pathlib.Path(__file__).parent.parent / "dist"
    wheels = dist.glob(f"holter-{importlib.metadata.version('holter')}-*.whl")
    newest = max(wheels, key=lambda wheel: wheel.stat().st_mtime, default=None)
    return newest.stat().st_size if newest else None


def main() -> None:
    """Measure."""
    import_millis()
    report("imports.import", "`import holter`", [import_millis() for _ in range(TURNS)], "ms")
    extension = sys.modules["holter._core"].__file__
    report("imports.extension", "extension module", pathlib.Path(extension or "").stat().st_size / 1e6, "MB")
    if (wheel := wheel_bytes()) is not None:
        report("imports.wheel", "wheel", wheel / 1e6, "MB")
    imported, idle, mapped = [], [], []
    for _ in range(5):
        done = subprocess.run([sys.executable, "-c", IDLE], capture_output=True, text=True, check=True)
        for samples, kib in zip((imported, idle, mapped), done.stdout.split(), strict=True):
            samples.append(int(kib) * 1024 / 1e6)
    report("imports.memory_imported", "resident memory added by `import holter`", imported, "MB")
    report("imports.memory_idle", "resident memory added by an idle logger, including the import", idle, "MB")
    report("imports.memory_files", "of which mapped files (journal, code)", mapped, "MB")


main()
