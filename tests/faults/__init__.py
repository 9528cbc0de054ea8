"""The fault suite: what a recorder promises, held under every fault that we can make.

`python -m tests.faults` from the root of the checkout, or `make faults`. A *case* is one kind of fault; a *try* makes
it once, or a few times in one run of a recorder, and then reads the run as users do: with `holter.open_run`, with
sqlite3 and with pyarrow. What a try does follows from its seed alone, so that a failure can be had again.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SUPPORT = ROOT / "tests" / "support"

# pytest has it on its path already.
if str(SUPPORT) not in sys.path:
    sys.path.insert(0, str(SUPPORT))
