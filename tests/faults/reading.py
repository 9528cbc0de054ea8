"""Reads runs with `holter.open_run` in a separate process, so that a crash or hang does not affect the suite.

As a program it handles one request after the other: `python -m tests.faults.reading`.
"""

import json
import os
import pickle
import select
import struct
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.faults import ROOT
from tests.faults.case import Hang

DEADLINE_SECS = 60


class Rejected(Exception):  # noqa: N818 - the correct result for a damaged run
    """Holter rejected a run with one of its documented errors."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.message = message


class Reader:
    """A client of the reading process, which it restarts if needed.

    Args:
        environment: Additional environment variables of the process.
        options: Options of `subprocess.Popen`.
    """

    def __init__(self, environment: Mapping[str, str] | None = None, **options: Any) -> None:
        self._options = options
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def points(self, run: object) -> dict[tuple[str, int], float]:
        """Return all points of a run as read by `open_run`.

        Raises:
            Rejected: If Holter raises one of its documented errors.
            AssertionError: If it raises any other error, or the process dies.
            Hang: If there is no response before the deadline.
        """
        columns = self._request("points", run)
        return {
            (name, step): value
            for name, (steps, values) in columns.items()
            for step, value in zip(steps, values, strict=True)
        }

    def recover(self, run: object) -> None:
        """Recover a run. Raises the same errors as `points`."""
        self._request("recover", run)

    def problems(self, run: object) -> list[str]:
        """Return the warnings and problems that `holter doctor` reports. Raises the same errors as `points`."""
        return self._request("problems", run)

    def close(self) -> None:
        """Kill the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _request(self, what: str, run: object) -> Any:
        process = self._process
        if process is None or process.poll() is not None:
            self.close()
            process = self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.reading"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=ROOT,
                env=self._environment,
                **self._options,
            )
        assert process.stdin is not None
        process.stdin.write(json.dumps([what, str(run)]).encode() + b"\n")
        process.stdin.flush()
        deadline = time.monotonic() + DEADLINE_SECS
        (length,) = struct.unpack("<Q", self._receive(process, 8, what, deadline))
        kind, result = pickle.loads(self._receive(process, length, what, deadline))
        if kind == "rejected":
            raise Rejected(*result)
        assert kind == "result", f"{what} raised an undocumented error:\n{result}"
        return result

    def _receive(self, process: subprocess.Popen[bytes], length: int, what: str, deadline: float) -> bytes:
        assert process.stdout is not None
        received = bytearray()
        while len(received) < length:
            if not select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                self.close()
                raise Hang(f"{what} took more than {DEADLINE_SECS} s")
            # Bypass Python's buffer, which `select` does not cover.
            chunk = os.read(process.stdout.fileno(), length - len(received))
            if not chunk:
                code = process.wait(DEADLINE_SECS)
                raise AssertionError(f"{what} crashed its process, which exited with {code}")
            received += chunk
        return bytes(received)


def versions() -> dict[str, str]:
    """Return the versions of holter and pyarrow."""
    import importlib.metadata

    import holter

    return {"holter": holter.__version__, "pyarrow": importlib.metadata.version("pyarrow")}


def _handle(what: str, run: str) -> Any:
    import holter

    if what == "recover":
        holter._core.recover(run)
        return None
    if what == "problems":
        from holter.cli.commands.doctor.checks import Severity
        from holter.cli.commands.doctor.checks.run import check_run

        severities = (Severity.WARNING, Severity.PROBLEM)
        texts = [finding.text for finding in check_run(Path(run)) if finding.severity in severities]
        return [text.replace(run, "RUN") for text in texts]
    opened = holter.open_run(run)
    return {
        name: (series.steps.tolist(), series.values.tolist())
        for name in opened.names()
        for series in [opened.series(name)]
    }


def _serve() -> None:
    import traceback

    import holter

    for line in sys.stdin:
        what, run = json.loads(line)
        try:
            reply = ("result", _handle(what, run))
        except (holter.HolterError, FileNotFoundError) as error:
            reply = ("rejected", (type(error).__name__, str(error)))
        except BaseException:  # noqa: BLE001 - passed on to the client
            reply = ("raised", traceback.format_exc())
        text = pickle.dumps(reply)
        sys.stdout.buffer.write(struct.pack("<Q", len(text)) + text)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    _serve()
