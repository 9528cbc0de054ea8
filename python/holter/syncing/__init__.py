"""Copy runs to an object store, an SFTP or FTP server, or another disk.

Destination   a folder of copies, at any URL that fsspec supports
sync_run      copies the new and changed files of a run
verify_run    reads a copy back and reports damaged files

A copy contains a run's manifest, its closed Parquet parts and its JSON Lines files, for every rank. Unless the remote
prevents it, a file gets its name only when it is complete; `holter-sync.json` next to it records its size and SHA-256.
Syncing takes no locks and changes nothing in the run, so a run can be synced repeatedly while it is recorded.
Requires the extra `sync`, and the package that fsspec needs for the kind of URL.
"""

from holter.syncing._destination import Destination
from holter.syncing._report import Damage, LeftOut, SyncResult
from holter.syncing._run import sync_run
from holter.syncing._verify import verify_run

__all__ = ["Damage", "Destination", "LeftOut", "SyncResult", "sync_run", "verify_run"]
