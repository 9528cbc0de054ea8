"""TensorBoard's event files, read and written without TensorBoard.

find    the event files below a directory, by run     Batch   points, and what could not be read
read    the points of event files, in batches         Damage  where a file is damaged, and how
write   a run as event files
"""

from holter.formats.tfevents._read import Batch, Damage, find, read
from holter.formats.tfevents._write import write

__all__ = ["Batch", "Damage", "find", "read", "write"]
