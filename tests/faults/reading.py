"""Reads runs with `holter.open_run` in a process of its own, which may crash or hang without harm to who asks.

As a program it answers one request after the other: `python -m tests.faults.reading`.
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


class Refused(Exception):  # noqa: N818 - that a damaged run is refused is as it should be
    """Holter raised an error of its own: a `HolterError`, or a builtin as its documents say."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.message = message


class Reader:
    """Asks the other process, and starts another one when it is gone."""

    def __init__(self, environment: Mapping[str, str] | None = None, **options: Any) -> None:
        """`environment` is what the other process has in its environment besides ours."""
        self._options = options
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def points(self, run: object) -> dict[tuple[str, int], float]:
        """All points of a run, as `open_run` gives them.

        Raises:
            Refused: If Holter refuses the run with an error of its own.
            AssertionError: If it raises anything else, or the process dies.
            Hang: If there is no answer in time.
        """
        columns = self._ask("points", run)
        return {
            (name, step): value
            for name, (steps, values) in columns.items()
            for step, value in zip(steps, values, strict=True)
        }

    def recover(self, run: object) -> None:
        """Recover a run. Raises as `points` does."""
        self._ask("recover", run)

    def problems(self, run: object) -> list[str]:
        """What `holter doctor` warns of and complains of in a run. Raises as `points` does."""
        return self._ask("problems", run)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _ask(self, what: str, run: object) -> Any:
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
        kind, answer = pickle.loads(self._receive(process, length, what, deadline))
        if kind == "refused":
            raise Refused(*answer)
        assert kind == "answer", f"{what} raised what Holter does not raise:\n{answer}"
        return answer

    def _receive(self, process: subprocess.Popen[bytes], length: int, what: str, deadline: float) -> bytes:
        assert process.stdout is not None
        received = bytearray()
        while len(received) < length:
            if not select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                self.close()
                raise Hang(f"{what} has not ended within {DEADLINE_SECS} s")
            # Past the buffer, which `select` does not know.
            chunk = os.read(process.stdout.fileno(), length - len(received))
            if not chunk:
                code = process.wait(DEADLINE_SECS)
                raise AssertionError(f"{what} killed its process, which ended with {code}")
            received += chunk
        return bytes(received)


def versions() -> dict[str, str]:
    """Of what writes and what reads."""
    import importlib.metadata

    import holter

    return {"holter": holter.__version__, "pyarrow": importlib.metadata.version("pyarrow")}


def _answer(what: str, run: str) -> Any:
    import holter

    if what == "recover":
        holter._core.recover(run)
        return None
    if what == "problems":
        from holter.cli.commands.doctor.checks import Severity
        from holter.cli.commands.doctor.checks.run import check_run

        found = check_run(Path(run))
        said = [one.text for one in found if one.severity in (Severity.WARNING, Severity.PROBLEM)]
        return [text.replace(run, "RUN") for text in said]
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
            reply = ("answer", _answer(what, run))
        except (holter.HolterError, FileNotFoundError) as error:
            reply = ("refused", (type(error).__name__, str(error)))
        except BaseException:  # noqa: BLE001 - whatever else it is, the one who asked has to know
            reply = ("raised", traceback.format_exc())
        text = pickle.dumps(reply)
        sys.stdout.buffer.write(struct.pack("<Q", len(text)) + text)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    _serve()
