"""The OOM killer kills the recorder, because it uses more memory than its control group allows.

Finds what SIGKILL does not: pages of the journal that are dropped under memory pressure.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from expected_points import Expectation
from recording_child import Workload
from tests.faults import stages
from tests.faults.case import Case, Unavailable, trials
from tests.faults.trial import Trial

LIMIT_BYTES = 100 << 20
ROOT = Path("/sys/fs/cgroup")


def cases() -> Iterator[Case]:
    """Yield one case. A trial is one recorder that is killed."""
    yield Case(
        "kill/out-of-memory",
        "OOM killer, in a control group with 100 MB",
        _run_out_of_memory,
        trials(full=60, quick=5, small=1),
        check_available=_check_available,
    )


def _run_out_of_memory(trial: Trial) -> None:
    run = trial.folder / "run"
    workload = Workload(
        0,
        steps=1_000_000,
        threads=trial.random.choice((1, 2)),
        flush_every=trial.random.choice((0, 50)),
        leak_bytes=trial.random.randint(20_000, 400_000),
        sinks=trial.random.choice(stages.SINKS),
    )
    with _group(f"holter-{os.getpid()}-{trial.random.getrandbits(32)}") as group:
        members = group / "cgroup.procs"
        child = trial.record(run, workload, preexec_fn=lambda: members.write_text(str(os.getpid())))
        code = child.wait()
        assert code == -signal.SIGKILL, f"the recorder exited with {code}"
        assert _kills(group), "the recorder was not killed by the OOM killer"
    trial.outcome.faults = 1
    expectation = Expectation()
    expectation.add(workload, trial.page)
    trial.outcome.checked = expectation.acknowledged
    trial.check_after_crash(run, workload, expectation)


@contextlib.contextmanager
def _group(name: str) -> Iterator[Path]:
    """Create a control group (version 1 or 2) with a memory limit."""
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
    """Count the processes of the group that the OOM killer killed."""
    path = group / "memory.events"
    if not path.exists():
        path = group / "memory.oom_control"
    counts = dict(line.split() for line in path.read_text("ascii").splitlines())
    return int(counts["oom_kill"])


def _check_available() -> None:
    try:
        with _group(f"holter-{os.getpid()}-probe") as group:
            _kills(group)
    except (OSError, KeyError) as error:
        raise Unavailable(f"cannot create a memory control group: {error}") from None
