"""TensorBoard's event files, read and written without TensorBoard.

read    the points of event files, in batches           find    the event files below a directory, by run
write   a run as event files                            Batch   points, and what could not be read
                                                        Damage  where a file is damaged, and how
"""

from holter.formats.tfevents._batches import Batch, find, read
from holter.formats.tfevents._export import write
from holter.formats.tfevents._records import Damage

__all__ = ["Batch", "Damage", "find", "read", "write"]
