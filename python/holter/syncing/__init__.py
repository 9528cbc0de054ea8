"""Copies of runs elsewhere, for reading: on an object store, an SFTP or FTP server, another disk.

Destination   a folder of copies, by any URL that fsspec knows
sync_run      copies what is new or changed of one run
verify_run    reads a copy back, and says what is not as it was copied

A copy has a run's manifest, its closed Parquet parts and its JSON lines, of every rank. A file has its name there only
when it is complete, as far as the remote allows; `holter-sync.json` beside it says its size and SHA-256. Nothing is
locked and nothing of the run is changed, so a run may be copied again and again while it is recorded.
Needs the extra `sync`, and what fsspec needs for the kind of URL.
"""

from holter.syncing._destination import Destination
from holter.syncing._report import Damage, LeftOut, Synced
from holter.syncing._run import sync_run
from holter.syncing._verify import verify_run

__all__ = ["Damage", "Destination", "LeftOut", "Synced", "sync_run", "verify_run"]
