"""A process that syncs a run and kills itself with SIGKILL in the middle.

Run as a program: `syncing_child.py RUN URL CALLS`. It kills itself at progress call number CALLS, which may be within a
file, and saves the copy's manifest after every file.
"""

import os
import signal
import sys

import holter.syncing._rank
from holter.syncing import Destination, sync_run


def main(run: str, url: str, calls: str) -> None:
    left = int(calls)

    def on_progress(_done: int, _total: int) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    holter.syncing._rank.BYTES_BETWEEN_MANIFESTS = 0
    options = {"block_size": 1 << 12} if url.startswith("ftp://") else {}
    sync_run(run, Destination(url, **options), on_progress=on_progress)


if __name__ == "__main__":
    main(*sys.argv[1:])
