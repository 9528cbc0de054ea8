"""Other recorders' files: read as runs of Holter's, in a stream, with what cannot be read reported and the rest kept.

find_sources     the runs that files and directories hold, each a `Source`
import_source    records one of them as a run, which is there only when it is complete
write_text       points as CSV or JSON lines
write_parquet    points as Parquet
tfevents         TensorBoard's event files, read and written without TensorBoard

Formats: TensorBoard's event files, JSON lines, CSV, and the Parquet of neptune-exporter. Points are recorded by the
public `holter.Logger`, which gives each the time at which it is logged: the times in the files are not kept.
"""

from holter.formats._detect import KINDS, find_sources
from holter.formats._export import POINTS_AT_ONCE, Stretch, spreadsheet_safe, write_parquet, write_text
from holter.formats._model import Batch, Fault, Source
from holter.formats._record import Imported, directory_name, import_source

__all__ = [
    "KINDS",
    "POINTS_AT_ONCE",
    "Batch",
    "Fault",
    "Imported",
    "Source",
    "Stretch",
    "directory_name",
    "find_sources",
    "import_source",
    "spreadsheet_safe",
    "write_parquet",
    "write_text",
]
