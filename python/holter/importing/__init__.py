"""Other recorders' files as runs of Holter's: read in a stream, with what cannot be read reported and the rest kept.

find_sources     the runs that files and directories hold, each a `Source`
import_source    records one of them as a run, which is there only when it is complete

Formats: TensorBoard's event files, JSON lines, CSV, and the Parquet of neptune-exporter. Points are recorded by the
public `holter.Logger`, which gives each the time at which it is logged: the times in the files are not kept.
"""

from holter.importing._find import KINDS, find_sources
from holter.importing._model import Batch, Fault, Source
from holter.importing._record import Imported, directory_name, import_source

__all__ = ["KINDS", "Batch", "Fault", "Imported", "Source", "directory_name", "find_sources", "import_source"]
