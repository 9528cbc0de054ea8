"""The fault suite: injects faults into recorders and checks the promises of the README.

`python -m tests.faults` from the root of the checkout, or `make faults`. A *case* is one kind of fault. A *trial*
injects it once, or a few times while a recorder runs, and then reads the run as users do: with `holter.open_run`,
sqlite3 and pyarrow. The seed determines a trial completely, so that a failure can be reproduced.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SUPPORT = ROOT / "tests" / "support"

# pytest adds it to the path.
if str(SUPPORT) not in sys.path:
    sys.path.insert(0, str(SUPPORT))
