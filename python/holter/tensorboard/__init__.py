"""Show Holter runs in TensorBoard, live and without copying.

serve         start a TensorBoard that shows the runs of a folder
data_server   serve runs to a TensorBoard that you start with `--grpc_data_provider`

These functions need the extra `tensorboard`; importing this module does not.
"""

from holter.tensorboard._program import TensorBoardEndedError, serve
from holter.tensorboard._server import data_server

__all__ = ["TensorBoardEndedError", "data_server", "serve"]
