"""A process in a recorder's environment that does one job: `python -m peers.child TASK OUT BACK`.

The task is JSON. Figures go to the descriptor OUT; bytes from BACK let the job continue. Standard output is not used,
since some recorders print.
"""

import importlib.metadata
import json
import re
import sys

from peers import recorders
from peers.jobs import JOBS, Link, Task


def main() -> None:
    """Run the job."""
    task = Task(**json.loads(sys.argv[1]))
    link = Link(int(sys.argv[2]), int(sys.argv[3]))
    recorder = recorders.load(task.recorder)
    for directory in sys.argv[4:]:  # shared packages, after the recorder's own
        sys.path.append(directory)
    recorder.prepare(task.directory)
    requirement = (*recorder.without_dependencies, *recorder.requirements)[:1]
    packages = [re.split(r"[=<>]", text)[0] for text in (*requirement, *recorder.shared)]
    versions = {name: importlib.metadata.version(name) for name in packages}
    figures = JOBS[task.job](recorder, task, link)
    link.report("done", **figures, versions=versions)


main()
