"""A process that copies a run and kills itself with SIGKILL in the middle.

Run as a program: `syncing_child.py RUN URL CALLS`. It dies at the CALLS-th progress report, which may be within a
file, and updates the manifest at the destination after every file instead of occasionally.
"""

import os
import signal
import sys

import holter.syncing._rank
from holter.syncing import Destination, sync_run


def main(run: str, url: str, calls: str) -> None:
    left = int(calls)

    def progress(_done: int, _total: int) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    holter.syncing._rank.BYTES_BETWEEN_NOTES = 0
    options = {"block_size": 1 << 12} if url.startswith("ftp://") else {}
    sync_run(run, Destination(url, **options), progress=progress)


if __name__ == "__main__":
    main(*sys.argv[1:])
