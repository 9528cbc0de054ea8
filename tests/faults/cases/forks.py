"""Many forks while threads log: children log, exit, are killed, start a program, or raise.

Finds a child that records into its parent's journal, hangs on a lock that was held during the fork, releases
the run's lock, or closes the parent's run when it exits.
"""

import json
import subprocess
from collections.abc import Iterator

import run_files
from tests.faults.case import Case, trials
from tests.faults.trial import Trial

FORKS = 60

PROGRAM = """
import json, os, random, signal, sys, threading, time, warnings
import holter

warnings.simplefilter("ignore")
run, forks, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rng = random.Random(seed)
logger = holter.Logger(run, journal_points=1 << 10)
metric = logger.metric("child/metric")
stop = threading.Event()
counts = [0, 0]

def produce(index):
    while not stop.is_set():
        logger.log(counts[index], f"thread/{index}", counts[index] / 8)
        logger.log(0, f"thread/{index}/{counts[index] % 500}", 1.0)
        counts[index] += 1
        if counts[index] % 20 == 0:
            stop.wait(0.0005)

def expect_error(call, *arguments):
    try:
        call(*arguments)
    except holter.ForkedProcessError:
        return
    os._exit(4)

def run_child(action):
    expect_error(logger.log, 1, "child", 1.0)
    expect_error(metric.log, 1, 1.0)
    expect_error(logger.log_many, 1, {f"child/{n}": 1.0 for n in range(10)})
    if action == "exit":
        sys.exit(0)
    if action == "close":
        logger.close()
    if action == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if action == "exec":
        os.execv("/bin/true", ["true"])
    if action == "grandchild" and os.fork() == 0:
        run_child("close")
    if action == "raises":
        raise ZeroDivisionError
    os._exit(0)

threads = [threading.Thread(target=produce, args=(index,)) for index in range(2)]
for thread in threads:
    thread.start()
done = 0
for _ in range(forks):
    action = rng.choice(["exit", "close", "killed", "exec", "grandchild", "raises", "at once"])
    child = os.fork()
    if child == 0:
        sys.stderr = open(os.devnull, "w")
        os.dup2(sys.stderr.fileno(), 2)
        run_child(action)
    deadline = time.monotonic() + 20
    while (status := os.waitpid(child, os.WNOHANG)) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os._exit(3)
        time.sleep(0.001)
    if os.waitstatus_to_exitcode(status[1]) == 4:
        os._exit(4)
    done += 1
stop.set()
for thread in threads:
    thread.join()
logger.close()
print(json.dumps({"forks": done, "counts": counts, "accepted": logger.health.accepted}))
"""


def cases() -> Iterator[Case]:
    """Yield one case. A trial is one parent and its children."""
    yield Case(
        "forks/storm",
        "many forks while two threads log; children log, exit, exec, raise and are killed",
        _storm,
        trials(full=30, quick=3, small=1),
    )


def _storm(trial: Trial) -> None:
    run = trial.folder / "run"
    parent = trial.spawn(
        ["-W", "ignore", "-c", PROGRAM, run, FORKS, trial.random.getrandbits(32)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    code, output, stderr = parent.output()
    assert code != 3, "a child hangs"
    assert code != 4, "a child logged without an error"
    assert code == 0, stderr
    report = json.loads(output)
    trial.outcome.faults = report["forks"]
    expected = {}
    for index, count in enumerate(report["counts"]):
        for step in range(count):
            expected[f"thread/{index}", step] = step / 8
            expected[f"thread/{index}/{step % 500}", 0] = 1.0
    trial.outcome.checked = report["accepted"]
    found = run_files.sqlite_points(run)
    trial.outcome.lost = sum(key not in found for key in expected)
    trial.outcome.invented = sum(found[key] != expected.get(key) for key in found)
    run_files.assert_same_points(found, expected)
    run_files.assert_same_points(run_files.parquet_points(run), expected)
    assert run_files.manifest(run)["status"] == "finished"
