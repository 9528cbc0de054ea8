"""One process of a distributed run: records its rank until it is done or killed, and counts what it has logged.

Run as a program: `rank_child.py DIRECTORY RANK [wait]`. With `wait` the process does not close its run, but waits to be
killed. The processes connect through torch.distributed (gloo), compute the
mean of a loss over all ranks while all are alive, and continue separately after one has died. The rank determines
what a process logs, so a test can compute every point that a killed process may have logged.
"""

import datetime as dt
import math
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from recording_child import CLOSED, LOGGING, OPENING, Page

PROCESSES = 4
STEPS = 3_000
REDUCE_EVERY = 10
OWN, REDUCED = 0, 1
"""Indices in the page: points of the rank's own series, and points of the mean over the ranks."""


def page_of(directory: Path, rank: int) -> Page:
    return Page(directory / f"page-{rank}")


def run_of(directory: Path) -> Path:
    return directory / "runs" / "distributed"


def value(rank: int, step: int) -> float:
    return math.nan if step % 97 == 13 else rank * 10_000.0 + step + 0.25


def points(rank: int) -> Iterator[tuple[str, int, float]]:
    """Yield all points of the rank's own series in the order of logging."""
    for step in range(STEPS):
        yield "loss", step, value(rank, step)
        yield f"ranks/{rank}/grad_norm", step, -value(rank, step)


def reduced(step: int) -> float:
    """Return the mean over the ranks."""
    return step + (PROCESSES - 1) / 2


def main(directory: Path, rank: int, *, waits_for_kill: bool) -> None:
    import torch

    import holter

    page = page_of(directory, rank)
    page.phase = OPENING
    torch.distributed.init_process_group(
        "gloo", f"file://{directory / 'store'}", dt.timedelta(seconds=120), world_size=PROCESSES, rank=rank
    )
    are_all_alive = True
    with holter.Logger(run_of(directory), rank=rank, journal_points=1 << 11) as logger:
        torch.distributed.barrier()
        page.phase = LOGGING
        for count, (name, step, number) in enumerate(points(rank), start=1):
            logger.log(step, name, number)
            page.acknowledge(OWN, count)
            if name != "loss" or step % REDUCE_EVERY or not are_all_alive:
                continue
            mean = torch.tensor(float(rank + step), dtype=torch.float64)
            try:
                torch.distributed.all_reduce(mean)
            except RuntimeError:  # another process has died
                are_all_alive = False
                continue
            if rank == 0:
                logger.log(step, "reduced/loss", mean / PROCESSES)
                page.acknowledge(REDUCED, step // REDUCE_EVERY + 1)
        if waits_for_kill:
            threading.Event().wait()
    page.phase = CLOSED


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), waits_for_kill="wait" in sys.argv[3:])
