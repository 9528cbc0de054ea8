"""A process of a recorder's own environment, which does one job: `python -m peers.child TASK OUT BACK`.

The task comes as JSON; figures go to the descriptor OUT, and words to go on come from BACK. The standard output is the
peer's: some print.
"""

import importlib.metadata
import json
import re
import sys

from peers import recorders
from peers.jobs import JOBS, Link, Task


def main() -> None:
    """Do the job."""
    task = Task(**json.loads(sys.argv[1]))
    link = Link(int(sys.argv[2]), int(sys.argv[3]))
    recorder = recorders.load(task.recorder)
    for place in sys.argv[4:]:  # what is lent: the peer's own packages go first
        sys.path.append(place)
    recorder.prepare(task.directory)
    itself = (*recorder.without_dependencies, *recorder.requirements)[:1]
    packages = [re.split(r"[=<>]", text)[0] for text in (*itself, *recorder.lent)]
    versions = {name: importlib.metadata.version(name) for name in packages}
    figures = JOBS[task.job](recorder, task, link)
    link.mark("done", **figures, versions=versions)


main()
