"""The OOM killer: the recorder's process takes more memory than its control group has.

Catches what SIGKILL from outside does not: pages of the journal that are given up when memory is short.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from expected_points import Expectation
from recording_child import Orders
from tests.faults import stages
from tests.faults.case import Case, Unavailable, tries
from tests.faults.trial import Try

LIMIT_BYTES = 100 << 20
ROOT = Path("/sys/fs/cgroup")


def cases() -> Iterator[Case]:
    """One case: a try is one recorder that dies."""
    yield Case(
        "kill/out-of-memory",
        "the OOM killer, in a control group with 100 MB",
        _run_out_of_memory,
        tries(full=60, quick=5, small=1),
        can_be_made=_can_be_made,
    )


def _run_out_of_memory(trial: Try) -> None:
    run = trial.folder / "run"
    orders = Orders(
        0,
        steps=1_000_000,
        threads=trial.random.choice((1, 2)),
        flush_every=trial.random.choice((0, 50)),
        hoard_bytes=trial.random.randint(20_000, 400_000),
        sinks=trial.random.choice(stages.SINKS),
    )
    with _group(f"holter-{os.getpid()}-{trial.random.getrandbits(32)}") as group:
        members = group / "cgroup.procs"
        child = trial.record(run, orders, preexec_fn=lambda: members.write_text(str(os.getpid())))
        code = child.wait()
        assert code == -signal.SIGKILL, f"the recorder ended with {code}"
        assert _kills(group), "the recorder was killed, but not for its memory"
    trial.outcome.faults = 1
    expectation = Expectation()
    expectation.add(orders, trial.page)
    trial.outcome.checked = expectation.acknowledged
    trial.judge_after_a_crash(run, orders, expectation)


@contextlib.contextmanager
def _group(name: str) -> Iterator[Path]:
    """A control group of a kind that is here, with a limit."""
    is_first_version = (ROOT / "memory").is_dir()
    group = ROOT / ("memory" if is_first_version else "") / name
    group.mkdir()
    try:
        (group / ("memory.limit_in_bytes" if is_first_version else "memory.max")).write_text(str(LIMIT_BYTES))
        if (swap := group / "memory.swap.max").exists():
            swap.write_text("0")
        yield group
    finally:
        group.rmdir()


def _kills(group: Path) -> int:
    """How many processes of the group were killed for its memory."""
    path = group / "memory.events"
    if not path.exists():
        path = group / "memory.oom_control"
    words = dict(line.split() for line in path.read_text("ascii").splitlines())
    return int(words["oom_kill"])


def _can_be_made() -> None:
    try:
        with _group(f"holter-{os.getpid()}-probe") as group:
            _kills(group)
    except (OSError, KeyError) as error:
        raise Unavailable(f"no memory control group can be made here: {error}") from None
