"""A process that copies a run and kills itself by SIGKILL in the middle.

Run as a program: `syncing_child.py RUN URL CALLS`. It dies when it is told of bytes for the CALLS-th time, which may be
within a file, and notes at the destination what is complete after every file, not only now and then.
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
